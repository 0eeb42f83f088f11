"""Records written by hand: one evaluated side, or a whole finished run of a teacher, its students and their tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from distbench.compare.evidence import Evaluated
from distbench.compare.tasks import Compared, compare_task
from distbench.hashing import text_digest
from distbench.protocols import Sample
from distbench.schema.cell import EvaluateCell, ModelRef
from distbench.schema.plan import Manifest, PlannedCell, PlannedModel
from distbench.schema.record import CellRecord, EvaluateResult, Footprint, MetricFacts
from distbench.schema.result import Estimate
from distbench.schema.suite import Suite, TaskSpec
from distbench.store.run_dir import RunDir
from distbench.store.samples import write_samples
from distbench.suite.load import digest_of
from tests.conftest import CPU

ACC = MetricFacts(
    name="acc", primary=True, kind="binary", higher_is_better=True, baseline=0.25, best=1.0, n=0, mean=None
)
WHO = {"teacher": "teacher", "student": "student"}


def rows(
    scores: Sequence[float | None], metric: str = "acc", task: str = "t", **columns: Sequence[Any]
) -> list[Sample]:
    """Return one record a score; None is a crash. Further columns are sequences of the same length."""
    return [
        Sample(
            **{
                "task": task,
                "sample_id": str(i),
                "metric": metric,
                "score": score,
                "status": "ok" if score is not None else "error",
                "prediction": "right" if score == 1.0 else f"wrong {score}",
                "label": "right",
                "prompt": f"question {i}",
                **{name: values[i] for name, values in columns.items()},
            }
        )
        for i, score in enumerate(scores)
    ]


def evaluated(
    folder: Path, samples: Sequence[Sample], facts: Sequence[MetricFacts] = (ACC,), **changes: Any
) -> Evaluated:
    """Write one side. `changes` go to its record (task_version, prompt_digest, …)."""
    folder.mkdir(parents=True)
    write_samples(folder / "samples.parquet", samples)
    ref = ModelRef(name=folder.name, role="student", use="x", identity=str(folder))
    task = samples[0].task
    cell = EvaluateCell(id="0", title="t", needs=[], model=ref, task=TaskSpec(use="x", name=task), settings=CPU)
    return Evaluated(cell, result(task, samples, facts, **changes), (folder / "samples.parquet",))


def result(task: str, samples: Sequence[Sample], facts: Sequence[MetricFacts], **changes: Any) -> EvaluateResult:
    """Return what a cell would record of these samples."""
    answers = text_digest(s.answer_digest or f"{s.prediction} {s.score} {s.numerator}" for s in samples)
    return EvaluateResult(
        **{
            "task": task,
            "task_version": "1",
            "engine": "e",
            "data_digest": "d",
            "prompt_digest": "p",
            "metrics": list(facts),
            "footprint": Footprint(bytes_on_disk=100),
            "answers_digest": answers,
            **changes,
        }
    )


Recorded = tuple[Sequence[Sample], Sequence[MetricFacts]]


def recorded_as(content: Recorded) -> tuple[list[Sample], list[MetricFacts]]:
    """Return samples with a digest of each answer, and metrics with number and mean, as a cell would record them."""
    samples = [
        replace(s, answer_digest=s.answer_digest or text_digest([f"{s.prediction} {s.score} {s.numerator}"])[:16])
        for s in content[0]
    ]
    return samples, [_counted(each, [s for s in samples if s.metric == each.name]) for each in content[1]]


def _counted(facts: MetricFacts, samples: Sequence[Sample]) -> MetricFacts:
    scores = [s.score for s in samples if s.score is not None]
    mean = sum(scores) / len(scores) if scores else None
    if facts.kind == "ratio_of_sums":
        below = sum(s.denominator or 0.0 for s in samples)
        mean = sum(s.numerator or 0.0 for s in samples) / below if below else None
    return facts.model_copy(update={"n": len(samples), "mean": mean})


def run_of(
    path: Path,
    models: Mapping[str, Mapping[str, Recorded | None]],
    gate: dict[str, Any] | None = None,
    sizes: Mapping[str, int] | None = None,
) -> RunDir:
    """Write a finished run. `models`: name → task → (samples, metrics), the teacher first; None: that cell crashed.

    A task that the teacher does not have at all compares the student with the teacher itself.
    """
    run = RunDir.prepare(path)
    names = list(models)
    tasks = list(dict.fromkeys(task for recorded in models.values() for task in recorded))
    refs = {
        name: ModelRef(name=name, role="teacher" if name == names[0] else "student", use="mlp", identity=f"id-{name}")
        for name in names
    }
    cells = []
    for name, recorded in models.items():
        for task, content in recorded.items():
            alone = task not in models[names[0]]
            cell = EvaluateCell(
                id=f"{name}-{task}", title=f"{name} on {task}", needs=[], model=refs[name],
                task=TaskSpec(use="classification", name=task), settings=CPU,
                reference=refs[names[0]] if alone else None,
            )  # fmt: skip
            cells.append(cell)
            if content is None:
                run.fail(cell.id, {"message": "killed by signal 9"})
                continue
            samples, facts = recorded_as(content)
            folder = run.workplace(cell.id)
            write_samples(folder / "samples.parquet", samples)
            footprint = Footprint(bytes_on_disk=(sizes or {}).get(name, 100))
            record = CellRecord(
                cell_id=cell.id, title=cell.title, started_at="", seconds=1.0, threads=1, device="cpu", host=None,
                packages={}, result=result(task, samples, facts, footprint=footprint),
            )  # fmt: skip
            (folder / "cell.json").write_text(cell.model_dump_json(), encoding="utf-8")
            (folder / "record.json").write_text(record.model_dump_json(), encoding="utf-8")
            run.commit(cell.id, folder)
    run.write_plan(list(cells))
    _manifest(run, refs, cells, tasks, gate)
    return run


def _manifest(
    run: RunDir, refs: dict[str, ModelRef], cells: list[EvaluateCell], tasks: list[str], gate: dict[str, Any] | None
) -> None:
    teacher, *students = refs
    suite = Suite.model_validate(
        {
            "version": 1,
            "name": "by-hand",
            "teachers": {teacher: {"use": "mlp", "source": "x"}},
            "students": [{"name": name, "of": teacher, "source": "y"} for name in students],
            "tasks": [{"use": "classification", "name": task} for task in tasks],
            "gate": gate,
        }
    )
    planned = [
        PlannedModel(
            name=name, label=name, role=ref.role, of=[] if name == teacher else [teacher], made_by="hand",
            origin="hand", ref=ref,
        )
        for name, ref in refs.items()
    ]  # fmt: skip
    run.write_manifest(
        Manifest(
            run="run", created_at="", distbench="0", command=[], suite_digest=digest_of(suite), suite=suite,
            settings=CPU, device_reason="", models=planned, task_order=tasks,
            cells=[PlannedCell(id=cell.id, kind="evaluate", title=cell.title) for cell in cells],
        )
    )  # fmt: skip


N = 400
RANDOM = np.random.default_rng(7)
TEACHER = (RANDOM.random(N) < 0.8).astype(float).tolist()
STUDENT = [1 - s if flip else s for s, flip in zip(TEACHER, RANDOM.random(N) < 0.1, strict=True)]


def compared(
    tmp_path: Path,
    teacher: list[Sample],
    student: list[Sample],
    facts: MetricFacts | list[MetricFacts] = ACC,
    **changes: Any,
) -> Compared:
    every = facts if isinstance(facts, list) else [facts]
    left = evaluated(tmp_path / "t", teacher, every)
    right = evaluated(tmp_path / "s", student, every, **changes)
    return compare_task(left, right, None, floor=0.9, alpha=0.05, weight=1.0)


def limits(found: Estimate | None) -> tuple[float | None, float | None, float | None]:
    assert found is not None
    return found.value, found.lo, found.hi
