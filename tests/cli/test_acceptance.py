"""The acceptance table of bad input: exit code, one line with its place, no traceback, nothing written."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.command import Done, distbench, here

VALID = """\
version: 1
name: small
device: cpu
teachers:
  big: {use: hf-causal, source: MODEL}
students:
  - {name: drop, of: big, init: {use: layer-drop, keep: 2}}
tasks:
  - {use: lm-eval, name: distbench_facts, samples: 8}
"""


@dataclass(frozen=True)
class Case:
    row: str
    change: Callable[[str], str | bytes]
    code: int
    message: str
    arguments: tuple[str, ...] = ()


def swap(old: str, new: str) -> Callable[[str], str]:
    def change(text: str) -> str:
        assert old in text
        return text.replace(old, new)

    return change


def whole(text: str | bytes) -> Callable[[str], str | bytes]:
    return lambda _: text


CASES = [
    Case("2 empty", whole(""), 2, "empty suite"),
    Case("2 list", whole("- a\n"), 2, "expected a mapping, got list"),
    Case("3 tab", swap("  big:", "\tbig:"), 2, "suite.yaml:5:1"),
    Case("3 syntax", swap("{use: hf-causal", "{use: hf-causal: x"), 2, "suite.yaml:5:"),
    Case("4 unknown key", swap("students:", "studnets:"), 2, "did you mean 'students'?"),
    Case("5 duplicate key", swap("device: cpu", "device: cpu\ndevice: cpu"), 2, "suite.yaml:4:1"),
    Case("6 text for integer", swap("samples: 8", 'samples: "ten"'), 2, "suite.yaml:9:"),
    Case("6 true for integer", swap("samples: 8", "samples: true"), 2, "got true"),
    Case("7 zero samples", swap("samples: 8", "samples: 0"), 2, "at least 1"),
    Case("7 negative samples", swap("samples: 8", "samples: -1"), 2, "at least 1"),
    Case(
        "7 temperature 0",
        swap("keep: 2}", "keep: 2}, distil: {use: soft-labels, temperature: 0, data: {use: teacher-sampled}}"),
        2,
        "must be at least 0.05",
    ),
    Case(
        "7 temperature nan",
        swap("keep: 2}", "keep: 2}, distil: {use: soft-labels, temperature: .nan, data: {use: teacher-sampled}}"),
        2,
        "finite",
    ),
    Case("7 alpha", lambda t: t + "gate: {alpha: 1.5}\n", 2, "suite.yaml:10:15: must be less than 0.5"),
    Case("8 version 1.10", swap("version: 1", "version: 1.10"), 2, "quote"),
    Case("8 dtype no", swap("device: cpu", "device: cpu\ndtype: no"), 2, "quote the value"),
    Case("9 billion laughs", whole("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n"), 2, "suite.yaml:1:"),
    Case("10 python tag", swap("name: small", "name: !!python/object/apply:os.system ['touch HACKED']"), 6, "tag"),
    Case("11 not UTF-8", lambda t: t.encode() + b"# \xff\n", 2, "byte"),
    Case("11 NUL", lambda t: t.encode() + b"#\x00\n", 2, "byte"),
    Case("12 no students", lambda t: t[: t.index("students:")] + t[t.index("tasks:") :], 2, "students"),
    Case("12 nothing to compare", swap(", init: {use: layer-drop, keep: 2}", ""), 2, "nothing to compare"),
    Case(
        "13 two of one name",
        lambda t: t.replace("tasks:", "  - {name: drop, of: big, init: {use: layer-drop, keep: 3}}\ntasks:"),
        2,
        "drop",
    ),
    Case("13 name with ..", swap("name: drop", "name: ../../x"), 2, "suite.yaml:7:"),
    Case("13 name with a slash", swap("name: drop", "name: a/b"), 2, "suite.yaml:7:"),
    Case("13 long name", swap("name: drop", f"name: {'x' * 300}"), 2, "suite.yaml:7:"),
    Case("15 unknown task", swap("distbench_facts", "helaswag"), 2, "hellaswag"),
    Case("15 unknown gate metric", lambda t: t + "gate: {retaind: 0.9}\n", 2, "retained"),
    Case("18 model path missing", swap("source: MODEL", "source: ./nowhere"), 5, "nowhere"),
    Case("18 hub id while offline", swap("source: MODEL", "source: someone/something"), 5, "local folder"),
    Case("31 cuda without a GPU", lambda t: t, 5, "devices seen: cpu", ("--device", "cuda")),
    Case("31 cuda:7", swap("device: cpu", "device: cuda:7"), 5, "devices seen"),
    Case("a bad override", lambda t: t, 2, "studnets", ("--set", "studnets.drop.name=x")),
    Case("an unknown plug-in", swap("use: layer-drop", "use: layer-dorp"), 2, "layer-drop"),
    Case("too many blocks kept", swap("keep: 2", "keep: 0"), 2, "suite.yaml:7:"),
]


def assert_refused(done: Done, code: int, message: str) -> None:
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"distbench: error[E{code:03}] ")
    assert message in lines[0]


@pytest.fixture
def place(tmp_path: Path, tiny_lm: Path) -> Path:
    shutil.copytree(tiny_lm, tmp_path / "model")
    return tmp_path


@pytest.mark.parametrize("case", CASES, ids=[case.row for case in CASES])
def test_bad_suites(place: Path, case: Case) -> None:
    text = case.change(VALID.replace("MODEL", "./model") if "MODEL" in VALID and "18" not in case.row else VALID)
    (place / "suite.yaml").write_bytes(text if isinstance(text, bytes) else text.encode())
    before = sorted(p.name for p in place.iterdir())
    done = here(place, "run", "suite.yaml", "--out", "run", *case.arguments)
    assert_refused(done, case.code, case.message)
    assert sorted(p.name for p in place.iterdir()) == before


def test_row_1_missing_suite_and_directory(tmp_path: Path) -> None:
    done = distbench(tmp_path, "run", "nowhere.yaml")
    assert_refused(done, 2, str(tmp_path))
    (tmp_path / "folder").mkdir()
    assert_refused(here(tmp_path, "run", "./folder"), 2, "folder")


def _drop(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def _truncate(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])


ARTEFACTS = {
    "19 no config": (_drop("config.json"), 5, "config.json"),
    "19 no weights": (_drop("model.safetensors"), 5, "model.safetensors"),
    "20 truncated": (_truncate, 6, "truncated"),
    "20 empty": (lambda f: (f / "model.safetensors").write_bytes(b""), 6, "0 bytes"),
    "20 LFS pointer": (lambda f: (f / "model.safetensors").write_text("version https://git-lfs\n"), 6, "git lfs pull"),
    "20 header": (
        lambda f: (f / "model.safetensors").write_bytes((2**60).to_bytes(8, "little") + b"{}"),
        6,
        "1152921504606846976",
    ),
}


@pytest.mark.parametrize("row", ARTEFACTS)
def test_bad_artefacts(place: Path, row: str) -> None:
    damage, code, message = ARTEFACTS[row]
    damage(place / "model")  # type: ignore[operator]
    (place / "suite.yaml").write_text(VALID.replace("MODEL", "./model"))
    assert_refused(here(place, "run", "suite.yaml", "--out", "run"), code, message)
    assert not (place / "run").exists()


def test_row_28_output_is_a_file_or_read_only(place: Path) -> None:
    (place / "suite.yaml").write_text(VALID.replace("MODEL", "./model"))
    (place / "run").touch()
    assert_refused(here(place, "run", "suite.yaml", "--out", "run"), 5, "is a file")
    assert_refused(here(place, "run", "suite.yaml", "--out", "/proc/distbench-run"), 5, "/proc/distbench-run")


def test_row_28_locked(place: Path) -> None:
    (place / "suite.yaml").write_text(VALID.replace("MODEL", "./model"))
    code = (
        "import sys; from pathlib import Path; from distbench.store.run_dir import RunDir\n"
        "with RunDir.prepare(Path('run')).lock(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=place, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        assert_refused(here(place, "run", "suite.yaml", "--out", "run"), 5, f"locked by process {holder.pid}")
        holder.communicate("")


def test_row_36_nothing_finished(place: Path) -> None:
    (place / "suite.yaml").write_text(VALID.replace("MODEL", "./model"))
    code = (
        "from pathlib import Path\n"
        "from distbench.suite.load import load_suite; from distbench.plan.expand import expand\n"
        "from distbench.execute.start import begin; from distbench.store.run_dir import RunDir\n"
        "loaded = load_suite('suite.yaml')\n"
        "begin(expand(loaded.suite, loaded.directory), RunDir.prepare(Path('run')), loaded.digest, [])\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=place, check=True)
    for command in ("report", "compare", "gate"):
        assert_refused(here(place, command, "run"), 4, "nothing to report")
    assert not (place / "run" / "report.html").exists()


def test_commands_that_need_no_suite(tmp_path: Path) -> None:
    for arguments in (
        ["doctor", "--json"],
        ["plugins", "--json"],
        ["suites", "list", "--json"],
        ["schema", "suite"],
        ["schema", "result"],
    ):
        done = here(tmp_path, *arguments)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)
    assert_refused(here(tmp_path, "schema", "nothing"), 2, "suite, result")
    assert distbench(tmp_path, "--version").stdout.startswith("distbench ")
    assert_refused(here(tmp_path, "run"), 2, "--teacher")
    assert_refused(here(tmp_path, "compare", "nowhere"), 2, "no run at")
    assert_refused(here(tmp_path, "frobnicate"), 2, "frobnicate")


def test_init_writes_a_valid_suite_and_never_overwrites(tmp_path: Path) -> None:
    assert here(tmp_path, "init", "mine.yaml").returncode == 0
    assert "valid" in here(tmp_path, "suites", "validate", "mine.yaml").stdout
    assert_refused(here(tmp_path, "init", "mine.yaml"), 2, "exists already")


def test_the_top_module_is_light() -> None:
    code = (
        "import sys, distbench.cli, distbench.cli.app\n"
        "heavy = {'torch', 'transformers', 'plotly', 'pandas', 'lm_eval', 'sklearn', 'scipy', 'numpy'}\n"
        "heavy &= set(sys.modules)\n"
        "print(sorted(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ})
    assert done.stdout.strip() == "[]"


def test_an_ascii_locale_is_no_error(tmp_path: Path) -> None:
    """Row: a result with ≥, … and names in any script, where the locale is C."""
    said = distbench(tmp_path, "suites", "list", "--json", check=0, PYTHONIOENCODING="ascii", LC_ALL="C").stdout
    assert json.loads(said)
    page = Path(__file__).parents[2] / "reports" / "quickstart" / "result.json"
    told = distbench(tmp_path, "compare", str(page), check=0, PYTHONIOENCODING="ascii", LC_ALL="C").stdout
    assert "%" in told
    assert not told.isascii()
