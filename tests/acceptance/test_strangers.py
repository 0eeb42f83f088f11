"""A run directory or a result document from a stranger, given to every command that reads one.

Exit 6, or 2, or an honest answer: never a traceback, a wait without end, a file outside, or more memory than is said.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distbench.store import samples
from distbench.store.files import seal
from tests.command import here
from tests.compare.runs import simple, write

Change = Callable[[Path], object]
SAMPLES, RECORD = "cells/student-t/samples.parquet", "cells/student-t/record.json"
READERS = [
    ("compare", "run"), ("show", "run", "--cells"), ("gate", "run"), ("report", "run", "--out", "page.html"),
    ("export", "run", "--format", "csv"), ("diff", "run", "good"), ("trend", "run", "good"), ("verify", "run"),
]  # fmt: skip


def edited(name: str, change: Callable[[Any], object]) -> Change:
    """Change the content of a JSON file, and seal its cell again: whoever lies about a score can do sums, too."""

    def do(run: Path) -> None:
        content = json.loads((run / name).read_text(encoding="utf-8"))
        change(content)
        (run / name).write_text(json.dumps(content), encoding="utf-8")
        _seal(run)

    return do


def model(**changes: Any) -> Change:
    return edited("manifest.json", lambda d: next(m for m in d["models"] if m["role"] == "student").update(changes))


def record(**changes: Any) -> Change:
    return edited(RECORD, lambda d: d.update(changes))


def metric(**changes: Any) -> Change:
    """Change what both sides say of their metric."""

    def do(run: Path) -> None:
        for name in ("student", "teacher"):
            edited(f"cells/{name}-t/record.json", lambda d: d["result"]["metrics"][0].update(changes))(run)

    return do


def cell_id(text: str) -> Change:
    return edited("manifest.json", lambda d: d["cells"][0].update(id=text))


def column(name: str, values: Callable[[int], Any]) -> Change:
    """Replace a column of the student's samples."""

    def do(run: Path) -> None:
        import pyarrow.parquet as pq

        table = pq.read_table(run / SAMPLES)
        at = table.column_names.index(name)
        (run / SAMPLES).unlink()
        pq.write_table(table.set_column(at, name, values(len(table))), run / SAMPLES, compression="zstd")
        _seal(run)

    return do


def same(value: Any) -> Callable[[int], Any]:
    import pyarrow as pa

    return lambda rows: pa.array([value] * rows)


def pipe(name: str) -> Change:
    def do(run: Path) -> None:
        (run / name).unlink()
        os.mkfifo(run / name)

    return do


def link(name: str, to: str) -> Change:
    def do(run: Path) -> None:
        (run / name).unlink()
        (run / name).symlink_to(to)

    return do


def put(name: str, text: str) -> Change:
    def do(run: Path) -> None:
        (run / name).parent.mkdir(parents=True, exist_ok=True)
        (run / name).write_text(text, encoding="utf-8")

    return do


def _seal(run: Path) -> None:
    for cell in (run / "cells").iterdir():
        seal(cell)


REFUSED: dict[str, Change] = {  # whatever reads it: exit 6
    "a student of nobody": model(of=[]),
    "a student of another student": model(of=["student"]),
    "a control that is not there": model(control="nobody"),
    "a training of a model that is not there": model(seed_of="nobody", seed=3),
    "a student called like its teacher": model(name="teacher"),
    "no teacher": edited("manifest.json", lambda d: d.update(models=d["models"][1:])),
    "a cell twice": edited("manifest.json", lambda d: d.update(cells=d["cells"] * 2)),
    "a task twice": edited("manifest.json", lambda d: d.update(task_order=["t", "t"])),
    "an id that leaves the folder": cell_id("../../good/plan/student-t"),
    "an absolute id": cell_id("/etc/passwd"),
    "an id with a NUL": cell_id("a\0b"),
    "an id of 5,000 characters": cell_id("x" * 5000),
    "a manifest of brackets": put("manifest.json", "[" * 100_000),
    "a record of brackets": put(RECORD, "[" * 100_000),
    "NaN in the manifest": edited("manifest.json", lambda d: d["suite"].update(seed=float("nan"))),
    "a record that is a pipe": pipe(RECORD),
    "a plan that is a pipe": pipe("plan/student-t.json"),
    "a record that never ends": link(RECORD, "/dev/zero"),
    "a record elsewhere": link(RECORD, "/etc/passwd"),
    "the record of another cell": record(cell_id="teacher-t"),
    "the plan of another cell": edited("plan/student-t.json", lambda d: d.update(id="teacher-t")),
    "no metric": edited(RECORD, lambda d: d["result"].update(metrics=[])),
}
SAMPLED: dict[str, Change] = {  # refused by whatever needs the samples
    "samples that are a pipe": pipe(SAMPLES),
    "samples that never end": link(SAMPLES, "/dev/zero"),
    "scores that are texts": column("score", same("x")),
    "scores that are lists": column("score", same([1.0])),
    "scores beyond all measure": column("score", same(1e308)),
    "one id for all": column("sample_id", same("1")),
    "ids that are numbers": column("sample_id", same(7)),
    "ids of a megabyte": column("sample_id", lambda rows: repeated(1, rows)),
    "answers that are no UTF-8": column("prediction", lambda rows: not_utf8(rows)),  # noqa: PLW0108 - defined below
    "a status that nobody knows": column("status", same("fine")),
    "groups that are a list": column("groups", same("[1, 2]")),
    "groups of brackets": column("groups", same("[" * 100_000)),
}
ODD: dict[str, Change] = {  # allowed, or for nobody to know: an answer, and no harm
    "the score of chance is the best": metric(baseline=1.0, best=1.0),
    "infinite scores": column("score", same(float("inf"))),
    "labels that act": model(label="</script><img src=x onerror=alert(1)>\u2028\x1b[31m", made_by="=HYPERLINK(1)"),
    "tasks that act": edited("manifest.json", lambda d: d.update(task_order=["t", "<b>\n::error::x"])),
    "an attempt that is no JSON": put("attempts/student-t/1.json", "{"),
    "an attempt without a number": put("attempts/student-t/x.json", "{}"),
    "a size of zero": edited(RECORD, lambda d: d["result"].update(footprint={"bytes_on_disk": 0})),
}


def repeated(megabytes: int, rows: int) -> Any:
    """Return a text of many megabytes that stands for every row: stored once, and unpacked by a careless reader."""
    import pyarrow as pa

    indices = pa.array([0] * rows, pa.int32())
    return pa.DictionaryArray.from_arrays(indices, pa.array(["x" * (megabytes << 20)]))


def not_utf8(rows: int) -> Any:
    import pyarrow as pa

    raw = pa.array([b"\xff\xfe"] * rows)
    return pa.StringArray.from_buffers(rows, raw.buffers()[1], raw.buffers()[2])


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, written by hand."""
    return write(tmp_path_factory.mktemp("stranger") / "good", simple(), gate={"retained": 0.9})


@pytest.fixture
def place(tmp_path: Path, good: Path) -> Path:
    for name in ("run", "good"):
        shutil.copytree(good, tmp_path / name)
    manifest = json.loads((tmp_path / "good" / "manifest.json").read_text(encoding="utf-8"))
    (tmp_path / "good" / "manifest.json").write_text(json.dumps(manifest | {"run": "before"}), encoding="utf-8")
    return tmp_path


def read(place: Path, *argv: str) -> int:
    """Call a reader; fail for what no input may cause, and return its exit code."""
    began = time.process_time()
    done = here(place, *argv)
    assert done.returncode in {0, 1, 2, 3, 4, 6}, (argv, done.stderr[-500:])
    assert "Traceback" not in done.stderr
    if done.returncode in {2, 4, 6} and argv[0] != "verify":
        assert len(done.stderr.strip().splitlines()) == 1, (argv, done.stderr)
    assert "\x1b[31m" not in done.stdout + done.stderr
    assert time.process_time() - began < 10
    return done.returncode


@pytest.mark.parametrize("name", REFUSED)
def test_a_run_that_is_not_whole_is_refused_by_every_reader(place: Path, name: str) -> None:
    REFUSED[name](place / "run")
    assert {argv: read(place, *argv) for argv in READERS} == dict.fromkeys(READERS, 6)
    assert sorted(path.name for path in place.iterdir()) == ["good", "run"]


@pytest.mark.parametrize("name", SAMPLED)
def test_samples_that_are_none_are_refused(place: Path, name: str) -> None:
    SAMPLED[name](place / "run")
    assert {argv: read(place, *argv) for argv in READERS} == dict.fromkeys(READERS, 6)


@pytest.mark.parametrize("name", ODD)
def test_odd_runs_get_an_answer(place: Path, name: str) -> None:
    ODD[name](place / "run")
    for argv in READERS[2:]:
        read(place, *argv)


def test_a_page_is_never_written_through_a_link_that_nobody_named(place: Path) -> None:
    target = place / "precious"
    target.write_text("mine", encoding="utf-8")
    (place / "run" / "report.html").symlink_to(target)
    assert read(place, "report", "run") == 6
    (place / "run" / "report.html").unlink()
    os.mkfifo(place / "run" / "report.html")
    assert read(place, "report", "run") == 6
    assert target.read_text(encoding="utf-8") == "mine"


# -- files that unpack to more than they are ---------------------------------------------------------------------------

BOMB = """\
import resource, sys
from pathlib import Path
from distbench.compare.reading import read_result
from distbench.errors import RefusedError
resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))
try:
    print(read_result(Path(sys.argv[1])).verdict)
except RefusedError as error:
    print("refused:", error)
"""


def test_a_text_that_stands_for_every_row_is_not_unpacked(place: Path) -> None:
    """400 rows of twice 16 MB are 12.5 GB; the file has a few kilobytes."""
    for name in ("prompt", "prediction"):
        column(name, lambda rows: repeated(16, rows))(place / "run")
    assert (place / "run" / SAMPLES).stat().st_size < 200_000
    done = subprocess.run(
        [sys.executable, "-c", BOMB, str(place / "run")], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-800:]
    assert done.stdout.split()[0] in {"PASS", "FAIL", "INCONCLUSIVE", "INVALID", "NO_SIGNAL"}


def test_more_than_a_reader_may_hold_is_refused_before_it_is_unpacked(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "MOST_ROWS", 399)
    assert read(place, "compare", "run") == 6
    monkeypatch.undo()
    monkeypatch.setattr(samples, "MOST_COLUMN", 1000)
    assert read(place, "compare", "run") == 6
    monkeypatch.undo()
    assert read(place, "compare", "run") == 0


def test_a_document_that_fills_the_memory_is_refused(tmp_path: Path) -> None:
    """A file of 2 GB takes no disk where it has holes."""
    with (tmp_path / "result.json").open("wb") as file:
        file.truncate(2 << 30)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for command in (("compare",), ("export", "--format", "csv"), ("diff", "result.json")):
        assert read(tmp_path, *command, "result.json") == 6
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 700_000  # KiB; what is allowed is 256 MiB
