"""The whole line on a model of a few kilobytes: run, resume, reuse, kill, gate. Nothing is mocked.

One run has every cell in a process of its own, as users have it, and so has one that is killed; what comes after, and
what is only about what is said, runs here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from distbench.compare.run import compare
from distbench.execute.run import reusable
from distbench.plan.expand import expand
from distbench.schema.result import Result
from distbench.store.cache import Cache
from distbench.store.files import damage
from distbench.store.run_dir import RunDir
from distbench.suite.load import load_suite
from tests import command
from tests.conftest import save_tiny_lm

SUITE = """\
version: 1
name: tiny
device: cpu
threads: 1
teachers:
  big: {use: hf-causal, source: ./teacher}
students:
  - {name: same, label: "</script><script>alert(1)</script>", of: big, source: ./teacher}
  - {name: int8, of: big, quantise: {use: int8-dynamic}}
  - {name: drop, of: big, init: {use: layer-drop, keep: 2}, required: false}
  - name: kd
    of: big
    required: false
    init: {use: layer-drop, keep: 2}
    distil:
      use: soft-labels
      temperature: 2.0
      data: {use: teacher-sampled, sequences: 16, length: 16, heldout: 4}
      epochs: 2
      learning_rate: 0.001
tasks:
  - {use: lm-eval, name: distbench_subject_verb, samples: 24}
  - {use: lm-eval, name: distbench_facts, samples: 12}
measure:
  load: {}
  memory: {prompt_tokens: 8, output_tokens: 4}
  latency: {prompt_tokens: 8, output_tokens: 4, batch_sizes: [1, 2], rounds: 3, launches: 1, control: false}
"""


def run(folder: Path, *arguments: str, check: int | None = 0) -> command.Done:
    """Run a command and its cells in this process."""
    # A cache of its own: what another test sampled from an equal teacher is not sampled again, rightly.
    return command.here(folder, *arguments, check=check, DISTBENCH_CACHE=str(folder / "cache"))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("main-job")
    save_tiny_lm(folder / "teacher", seed=3)
    (folder / "suite.yaml").write_text(SUITE)
    return folder


@pytest.fixture(scope="module")
def finished(place: Path) -> tuple[Path, Result]:
    known = {"DISTBENCH_CACHE": str(place / "cache")}
    done = command.distbench(place, "run", "suite.yaml", "--out", "one", "--json", check=0, **known)
    return place / "one", Result.model_validate_json(done.stdout)


def student(result: Result, name: str) -> Any:
    return next(s for s in result.students if s.name == name)


def test_every_cell_is_sealed_and_the_report_is_written(finished: tuple[Path, Result]) -> None:
    path, result = finished
    assert {cell.status for cell in result.cells} == {"done"}
    assert all(damage(path / "cells" / cell.id) is None for cell in result.cells)
    assert [s.name for s in result.students] == ["same", "int8", "drop", "kd", "kd-no-teacher"]
    page = (path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert(1)</script>" not in page
    assert json.loads((path / "result.json").read_text()) == result.model_dump(mode="json")


def test_a_student_with_the_teachers_weights_retains_exactly_everything(finished: tuple[Path, Result]) -> None:
    same = student(finished[1], "same")
    for task in same.tasks:
        assert task.delta.value == 0.0
        if task.retained.value is not None:  # a random teacher may be at chance
            assert (task.retained.lo, task.retained.value, task.retained.hi) == (1.0, 1.0, 1.0)
    assert same.compression == {"bytes_on_disk": 1.0, "params_unique": 1.0, "params_non_embedding": 1.0}
    assert any("exactly 100 %" in warning for warning in same.warnings)


def test_a_teacher_at_chance_has_no_signal_and_never_passes(finished: tuple[Path, Result]) -> None:
    path, result = finished
    assert result.verdict in {"NO_SIGNAL", "INCONCLUSIVE"}
    assert run(path.parent, "gate", "one", check=3).stdout.startswith(result.verdict)
    assert student(result, "int8").suite.retained.value is None


def test_distillation_is_recorded_beside_its_control(finished: tuple[Path, Result]) -> None:
    kd, control = student(finished[1], "kd"), student(finished[1], "kd-no-teacher")
    assert kd.control == "kd-no-teacher"
    assert control.control_of == "kd"
    assert control.role == "control"
    assert kd.training.objective == "forward-kl (temperature 2.0)"
    assert control.training.objective == "labels"
    assert kd.training.data_digest == control.training.data_digest
    assert (kd.training.steps, kd.training.units) == (control.training.steps, control.training.units)
    assert kd.training.heldout_kl_before == control.training.heldout_kl_before
    assert kd.training.heldout_kl_after < kd.training.heldout_kl_before
    assert {kd.training.from_cache, control.training.from_cache} == {False, True}  # sampled once


def test_measurements_have_both_sides_units_and_an_interval(finished: tuple[Path, Result]) -> None:
    drop = student(finished[1], "drop")
    seen = {(m.meter, m.metric, m.workload): m for m in drop.measurements}
    for workload in ("batch 1", "batch 2"):
        m = seen["latency", "e2e_ms", workload]
        assert m.teacher is not None
        assert m.student is not None
        assert m.teacher > 0
        assert m.student > 0
        assert m.ratio.lo <= m.ratio.value <= m.ratio.hi
        assert (m.unit, m.ratio.n) == ("ms", 3)
    peak = seen["memory", "peak_bytes", "batch 1"]
    assert peak.teacher > 50 << 20
    assert peak.ratio.lo is None  # one launch bounds nothing
    assert seen["load", "load_seconds", "process"].teacher > 0


def test_the_result_validates_against_its_published_schema(finished: tuple[Path, Result]) -> None:
    import jsonschema

    schema = json.loads(run(finished[0].parent, "schema", "result").stdout)
    jsonschema.validate(finished[1].model_dump(mode="json"), schema)


WITHOUT_TORCH = """
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"torch", "transformers", "lm_eval", "pynvml"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Absent())
from distbench.cli import main
_, path, page = sys.argv
for words in (["report", path, "--out", page], ["compare", path, "--json"]):
    sys.argv = ["distbench", *words]
    try:
        main()
    except SystemExit as ended:
        if ended.code:
            raise
"""


def test_compare_and_report_need_no_torch(finished: tuple[Path, Result], tmp_path: Path) -> None:
    path, result = finished
    command = [sys.executable, "-c", WITHOUT_TORCH, str(path), str(tmp_path / "page.html")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "page.html").is_file()
    assert Result.model_validate_json(done.stdout[done.stdout.index("{") :]) == result


def test_running_again_redoes_nothing(finished: tuple[Path, Result], place: Path) -> None:
    path, result = finished
    before = {p: p.stat().st_mtime_ns for p in path.rglob("cells/*/*")}
    again = run(place, "run", "suite.yaml", "--out", "one", "--json")
    assert {p: p.stat().st_mtime_ns for p in path.rglob("cells/*/*")} == before
    assert Result.model_validate_json(again.stdout) == result


def test_a_changed_suite_is_not_mixed_into_an_old_run(finished: tuple[Path, Result], place: Path) -> None:
    done = run(place, "run", "suite.yaml", "--out", "one", "--set", "seed=1", check=2)
    assert "seed 0 → 1" in done.stderr


def test_one_more_student_does_not_evaluate_the_teacher_again(finished: tuple[Path, Result], place: Path) -> None:
    more = SUITE.replace("tasks:", "  - {name: drop3, of: big, init: {use: layer-drop, keep: 3}}\ntasks:").replace(
        "name: tiny", "name: more"
    )
    (place / "more.yaml").write_text(more)
    cells = json.loads(run(place, "plan", "more.yaml", "--json").stdout)["cells"]
    status = {cell["title"]: cell["status"] for cell in cells}
    todo = sorted(title for title, s in status.items() if s == "to run" and not title.startswith("measure"))
    assert todo == ["drop3 on distbench_facts", "drop3 on distbench_subject_verb", "make drop3"]
    assert status["big on distbench_facts"] == "cached"
    table = run(place, "plan", "more.yaml").stdout
    assert "cached" in table


def test_a_flipped_byte_in_a_finished_cell_is_refused(finished: tuple[Path, Result], place: Path) -> None:
    path, result = finished
    cell = next(c for c in result.cells if c.kind == "evaluate")
    record = path / "cells" / cell.id / "record.json"
    content = record.read_bytes()
    try:
        record.unlink()  # a hard link into the cache: never write through it
        record.write_bytes(content.replace(b'"seconds"', b'"secondz"', 1))
        done = run(place, "run", "suite.yaml", "--out", "one", check=6)
        assert cell.id in done.stderr
    finally:
        record.write_bytes(content)


def workers(root: Path) -> list[psutil.Process]:
    lines = [(process, process.info["cmdline"] or []) for process in psutil.process_iter(["cmdline"])]
    return [process for process, line in lines if "distbench.cell" in line and str(root) in " ".join(line)]


def _hear_interrupts() -> None:
    """Undo what a shell does to background jobs: a test run with `&` would hand its children an ignored SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(place: Path, out: Path, cache: Path) -> subprocess.Popen[str]:
    environment = os.environ | {"DISTBENCH_CACHE": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-m", "distbench", "run", "suite.yaml", "--out", str(out), "--set", "measure={}"],
        cwd=place, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=_hear_interrupts,  # noqa: PLW1509 - it only sets a signal
    )  # fmt: skip


def wait_for_cells(run_path: Path, count: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline and process.poll() is None:
        if len([p for p in run_path.glob("cells/*") if not p.name.startswith(".")]) >= count:
            return
        time.sleep(0.05)
    raise AssertionError("the run ended, or did not get so far")


def test_a_run_killed_three_times_leaves_no_orphans_and_resumes_to_the_same_numbers(
    finished: tuple[Path, Result], place: Path, tmp_path: Path
) -> None:
    out, cache = tmp_path / "killed", tmp_path / "cache"
    kept: dict[Path, int] = {}
    for count, sign, code in ((2, signal.SIGINT, 130), (4, signal.SIGTERM, 143), (6, signal.SIGKILL, -9)):
        process = start(place, out, cache)
        wait_for_cells(out, count, process)
        process.send_signal(sign)  # to the parent alone: its children must follow
        _, stderr = process.communicate(timeout=30)
        assert process.returncode == code
        if sign != signal.SIGKILL:
            assert "continue with: distbench run suite.yaml --out" in stderr
            assert "Traceback" not in stderr
        deadline = time.monotonic() + 15
        while workers(out) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert workers(out) == []
        found = {p: p.stat().st_mtime_ns for p in out.glob("cells/*/record.json")}
        assert len(found) >= count
        assert {p: found.get(p) for p in kept} == kept
        kept = found
    again = start(place, out, cache)
    _, stderr = again.communicate(timeout=400)
    assert again.returncode == 0, stderr
    assert {p: p.stat().st_mtime_ns for p in kept} == kept
    _same_numbers(finished[0], out)


def _same_numbers(one: Path, two: Path) -> None:
    """Evaluations and weights are bit-identical; times are not expected to be."""
    from distbench.store.samples import read_samples

    assert sorted(p.parent.name for p in one.glob("cells/*/samples.parquet")) == sorted(
        p.parent.name for p in two.glob("cells/*/samples.parquet")
    )
    for path in one.glob("cells/*/samples.parquet"):
        assert read_samples(path).equals(read_samples(two / "cells" / path.parent.name / "samples.parquet"))
    left, right = compare(RunDir(one)), compare(RunDir(two))
    assert [s.tasks for s in left.students] == [s.tasks for s in right.students]


def test_a_failing_cell_leaves_the_rest_and_exits_4(place: Path, tmp_path: Path) -> None:
    text = SUITE[: SUITE.index("measure:")].replace("./teacher", str(place / "teacher"))
    text = text.replace("name: kd\n", "name: kd\n    label: diverges\n").replace("epochs: 2\n", "steps: 40\n")
    text = text.replace(
        "learning_rate: 0.001", "learning_rate: 100, schedule: constant, warmup: 0".replace(", ", "\n      ")
    )
    (tmp_path / "suite.yaml").write_text(text)
    done = run(tmp_path, "run", "suite.yaml", "--out", "failed", check=4)
    assert "training diverged" in done.stderr
    assert "Traceback" not in done.stderr
    result = compare(RunDir(tmp_path / "failed"))
    broken = student(result, "kd")
    assert broken.verdict == "INCONCLUSIVE"
    assert "did not finish" in broken.verdict_reason
    assert student(result, "int8").tasks
    assert (tmp_path / "failed" / "report.html").is_file()


def test_flags_need_no_suite(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    done = run(
        place, "run", "--teacher", "./teacher", "--student", "./teacher", "--task", "distbench_facts", "--samples", "5",
        "--out", str(tmp_path / "flags"), "--dry-run",
    )  # fmt: skip
    assert "on distbench_facts" in done.stdout
    assert not (tmp_path / "flags").exists()


def test_evaluations_are_planned_once_for_models_that_are_the_same(place: Path) -> None:
    loaded = load_suite(place / "suite.yaml")
    plan = expand(loaded.suite, loaded.directory)
    titles = [cell.title for cell in plan.cells]
    assert len([t for t in titles if t.endswith("on distbench_facts")]) == 5  # six models, two of them one
    assert len(titles) == len(set(titles))
    done, cached = reusable(plan.cells, None, Cache(place / "empty"))
    assert not done
    assert not cached


def test_a_student_larger_than_its_teacher_is_a_warning(place: Path, tmp_path: Path) -> None:
    save_tiny_lm(tmp_path / "huge", layers=6, seed=5)
    text = (
        SUITE[: SUITE.index("students:")]
        + "students:\n  - {name: huge, of: big, source: ./huge}\n"
        + "tasks:\n  - {use: lm-eval, name: distbench_facts, samples: 5}\n"
    )
    (tmp_path / "suite.yaml").write_text(text.replace("./teacher", str(place / "teacher")))
    run(tmp_path, "run", "suite.yaml", "--out", "larger")
    huge = student(compare(RunDir(tmp_path / "larger")), "huge")
    assert huge.compression["bytes_on_disk"] < 1
    assert any("larger than its teacher" in warning for warning in huge.warnings)
