"""The early-stopping loop, driven by a runner that answers from scores known beforehand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distbench.compare.run import compare
from distbench.compare.sides import forget
from distbench.gate.sequential import next_cells, run_until_decided
from distbench.plan.device import Chosen
from distbench.plan.expand import Plan, evaluation
from distbench.protocols import Sample
from distbench.schema.cell import EvaluateCell, ModelRef
from distbench.schema.plan import Manifest, PlannedCell, PlannedModel
from distbench.schema.record import CellRecord, DrawnFacts, EvaluateResult, Footprint, MetricFacts
from distbench.schema.suite import Part, Suite, TaskSpec
from distbench.stats import look_schedule
from distbench.store.run_dir import RunDir
from distbench.store.samples import write_samples
from tests.conftest import CPU

N = 2000
ACC = MetricFacts(
    name="acc", primary=True, kind="binary", higher_is_better=True, baseline=0.1, best=1.0, n=0, mean=None
)


def truth(rate: float, lost: float = 0.0, seed: int = 0) -> tuple[list[float], list[float]]:
    """Return teacher's and student's scores: the teacher is right at `rate`, the student loses `lost` of its hits."""
    generator = np.random.default_rng(seed)
    teacher = (generator.random(N) < rate).astype(float)
    student = teacher * (generator.random(N) >= lost)
    return teacher.tolist(), student.tolist()


class Answering:
    """A runner: commits what each cell's model would have answered."""

    def __init__(self, run: RunDir, scores: dict[tuple[str, str], list[float]], fails: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        self.run, self.scores, self.fails = run, scores, fails
        self.cells: dict[str, EvaluateCell] = {}
        self.rounds = 0

    def add(self, cells: list[EvaluateCell]) -> None:
        self.run.extend_plan(cells)
        self.rounds += 1
        for cell in cells:
            self.cells[cell.id] = cell
            self.answer(cell)

    def answer(self, cell: EvaluateCell) -> None:
        if cell.model.name in self.fails and cell.task.part.start:  # type: ignore[union-attr]
            self.run.fail(cell.id, {"message": "killed by signal 9"})
            return
        scores = self.scores[cell.model.name, cell.task.title]
        part = cell.task.part
        assert part is not None
        stop = part.stop or look_schedule({"t": len(scores)})[0]["t"]
        rows = [
            Sample(cell.task.title, str(i), "acc", scores[i], prediction=str(scores[i]), label="1.0", prompt="p")
            for i in range(part.start, stop)
        ]
        folder = self.run.workplace(cell.id)
        write_samples(folder / "samples.parquet", rows)
        mean = float(np.mean([row.score for row in rows]))  # type: ignore[misc]
        result = EvaluateResult(
            task=cell.task.title, task_version="1", engine="e", data_digest=f"{part}", prompt_digest=f"{part}",
            metrics=[ACC.model_copy(update={"n": len(rows), "mean": mean})], footprint=Footprint(bytes_on_disk=100),
            answers_digest=f"{cell.model.name} {part}",
            drawn=DrawnFacts(total=len(scores), start=part.start, stop=stop),
        )  # fmt: skip
        record = CellRecord(
            cell_id=cell.id, title=cell.title, started_at="", seconds=1.0, threads=1, device="cpu", host=None,
            packages={}, result=result,
        )  # fmt: skip
        (folder / "cell.json").write_text(cell.model_dump_json())
        (folder / "record.json").write_text(record.model_dump_json())
        self.run.commit(cell.id, folder)


def started(
    tmp_path: Path,
    scores: dict[tuple[str, str], list[float]],
    fails: set[str] = frozenset(),
    **gate: Any,  # type: ignore[assignment]
) -> tuple[Answering, RunDir, Plan]:
    """Return a run whose first looks are done."""
    forget()
    names = list(dict.fromkeys(name for name, _ in scores))
    titles = list(dict.fromkeys(task for _, task in scores))
    tasks = [
        TaskSpec(use="classification", name=title, data={"use": "sklearn-digits"}, part=Part()) for title in titles
    ]
    students = [name for name in names if name not in {"teacher", "control"}]
    suite = Suite.model_validate(
        {
            "version": 1, "name": "s", "teachers": {"teacher": {"use": "mlp", "source": "x"}},
            "students": [{"name": name, "of": "teacher", "use": "mlp", "source": "y"} for name in students],
            "gate": {"sequential": True, **gate},
        }
    )  # fmt: skip
    models = [
        PlannedModel(
            name=name,
            label=name,
            role="student" if name in students else name,  # type: ignore[arg-type]
            of=[] if name == "teacher" else ["teacher"],
            control="control" if name in students and "control" in names else None,
            made_by="x",
            origin="x",
            ref=ModelRef(name=name, role="student", use="mlp", identity=f"id-{name}"),
        )
        for name in names
    ]
    chosen = Chosen(CPU, "test")
    every = {model.name: model for model in models}
    cells = [cell for model in models for task in tasks for cell in evaluation(model, task, every, chosen)]
    plan = Plan(suite, chosen, models, tasks, list(cells))
    run = RunDir.prepare(tmp_path / "run")
    run.write_plan(cells)
    run.write_manifest(
        Manifest(
            run="r", created_at="", distbench="0", command=[], suite_digest="", suite=suite, settings=CPU,
            device_reason="", models=models, task_order=titles,
            cells=[PlannedCell(id=c.id, kind=c.kind, title=c.title) for c in cells],
        )
    )  # fmt: skip
    runner = Answering(run, scores, fails)
    for cell in cells:
        runner.cells[cell.id] = cell
        runner.answer(cell)
    return runner, run, plan


def asked(runner: Answering, model: str, task: str = "a") -> int:
    """Return how many samples of a task a model was asked."""
    parts = [c.task.part for c in runner.cells.values() if (c.model.name, c.task.title) == (model, task)]
    schedule = look_schedule({"t": N})
    return max((part.stop or schedule[0]["t"]) for part in parts if part is not None)


@pytest.mark.parametrize(("lost", "verdict"), [(0.0, "PASS"), (0.4, "FAIL")])
def test_a_clear_case_stops_early_with_the_verdict_of_the_truth(tmp_path: Path, lost: float, verdict: str) -> None:
    teacher, student = truth(0.9, lost)
    runner, run, plan = started(tmp_path, {("teacher", "a"): teacher, ("student", "a"): student})
    run_until_decided(runner, run, plan)  # type: ignore[arg-type]
    found = compare(run).students[0]
    assert found.suite.verdict == verdict
    used, total = found.suite.samples["a"]
    assert total == N
    assert used < N / 2
    assert asked(runner, "teacher") == asked(runner, "student") == used
    assert found.suite.retained.method == "betting"
    assert found.tasks[0].retained.method == "betting"
    assert any("not fixed in number" in warning for warning in compare(run).warnings)


def test_an_undecided_case_uses_every_sample_once(tmp_path: Path) -> None:
    teacher, student = truth(0.9, 0.05)  # the truth lies on the margin
    runner, run, plan = started(tmp_path, {("teacher", "a"): teacher, ("student", "a"): student})
    run_until_decided(runner, run, plan)  # type: ignore[arg-type]
    assert asked(runner, "student") == N
    assert compare(run).students[0].suite.verdict == "INCONCLUSIVE"
    assert next_cells(run, plan) == []


def test_the_teacher_goes_as_far_as_its_slowest_student_and_the_control_with_its_student(tmp_path: Path) -> None:
    teacher, close = truth(0.9, 0.04)
    far = truth(0.9, 0.5)[1]
    scores = {("teacher", "a"): teacher, ("close", "a"): close, ("far", "a"): far, ("control", "a"): far}
    runner, run, plan = started(tmp_path, scores)
    run_until_decided(runner, run, plan)  # type: ignore[arg-type]
    assert asked(runner, "far") < asked(runner, "close") == asked(runner, "teacher")
    assert asked(runner, "control") >= asked(runner, "close")
    by_name = {student.name: student for student in compare(run).students}
    assert by_name["far"].suite.verdict == "FAIL", "the longer teacher does not make the pair invalid"
    assert by_name["far"].tasks[0].n == asked(runner, "far")


def test_a_part_that_fails_leaves_the_verdict_open_and_ends_the_loop(tmp_path: Path) -> None:
    teacher, student = truth(0.9, 0.05)
    runner, run, plan = started(tmp_path, {("teacher", "a"): teacher, ("student", "a"): student}, fails={"student"})
    run_until_decided(runner, run, plan)  # type: ignore[arg-type]
    assert runner.rounds == 1
    assert compare(run).students[0].suite.verdict == "INCONCLUSIVE"


def test_a_settled_task_is_asked_no_further_while_another_goes_on(tmp_path: Path) -> None:
    teacher, good = truth(0.9, 0.0)
    other, doubtful = truth(0.9, 0.08, seed=1)
    scores = {("teacher", "a"): teacher, ("teacher", "b"): other, ("student", "a"): good, ("student", "b"): doubtful}
    runner, run, plan = started(tmp_path, scores, suite_rule="every_task", task_floor=0.85)
    run_until_decided(runner, run, plan)  # type: ignore[arg-type]
    assert asked(runner, "student", "a") < asked(runner, "student", "b")


def test_the_decision_is_the_same_when_recomputed_and_after_a_resume(tmp_path: Path) -> None:
    teacher, student = truth(0.9, 0.4)
    runner, run, plan = started(tmp_path, {("teacher", "a"): teacher, ("student", "a"): student})
    run_until_decided(runner, run, plan)  # type: ignore[arg-type]
    first = compare(run).students[0]
    forget()
    again = Answering(run, runner.scores)
    again.cells = {cell.id: cell for cell in plan.cells}  # type: ignore[misc]
    run_until_decided(again, run, plan)  # type: ignore[arg-type]
    assert again.rounds == 0, "everything that the verdict needs is there"
    assert compare(run).students[0] == first


def test_an_advisory_task_is_not_waited_for(tmp_path: Path) -> None:
    teacher, good = truth(0.9, 0.0)
    other, ruined = truth(0.9, 0.12, seed=1)
    scores = {("teacher", "a"): teacher, ("teacher", "b"): other, ("student", "a"): good, ("student", "b"): ruined}
    gate = {"retained": 0.85, "tasks": {"b": {"required": False}}}
    runner, run, plan = started(tmp_path, scores, **gate)
    run_until_decided(runner, run, plan)  # type: ignore[arg-type]
    assert compare(run).students[0].suite.verdict == "PASS"
    assert asked(runner, "student", "b") < N
