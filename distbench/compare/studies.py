"""Students that differ in what a grid varied, side by side: the numbers of a curve or a table, and no new verdict."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from distbench import stats
from distbench.compare.estimates import published
from distbench.compare.evidence import Evidence
from distbench.compare.pairs import pair, primary_metric
from distbench.plan.studies import axes_of
from distbench.schema.plan import PlannedModel
from distbench.schema.result import Estimate, StudentResult
from distbench.schema.studies import Study, StudyAxis, StudyEntry

# Options of data sources that count examples, of whatever kind: what a data-efficiency curve is drawn against.
AMOUNTS = frozenset(
    ("samples", "sequences", "labelled", "unlabelled", "documents", "prompts", "answers", "texts", "images", "rows",
     "examples", "tokens")
)  # fmt: skip


def studies(evidence: Evidence, students: Sequence[StudentResult], alpha: float) -> list[Study]:
    """Return every study of a run, one for each teacher that its students are compared with."""
    by_name = {student.name: student for student in students}
    groups: dict[tuple[str, str], list[StudentResult]] = {}
    for student in students:
        if student.study is not None and student.role == "student":
            groups.setdefault((student.study.name, student.of[0]), []).append(student)
    return [
        Study(
            name=name,
            teacher=teacher,
            axes=study_axes([student.study.at for student in mine if student.study is not None]),
            entries=[_entry(evidence, student, by_name, alpha) for student in mine],
        )
        for (name, teacher), mine in groups.items()
    ]


def study_axes(points: Sequence[Mapping[str, Any]]) -> list[StudyAxis]:
    """Return what varies, with its values in the order of the suite; sizes of the data are marked."""
    return [
        StudyAxis(name=name, values=values, amount=_is_amount(name, values)) for name, values in axes_of(points).items()
    ]


def _is_amount(name: str, values: Sequence[Any]) -> bool:
    """Say whether an axis counts examples: then its values are numbers, and null where all of them are meant."""
    known = [value for value in values if value is not None]
    numeric = all(isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 for value in known)
    return name.rpartition(".")[2] in AMOUNTS and numeric and bool(known)


def _entry(
    evidence: Evidence, student: StudentResult, by_name: Mapping[str, StudentResult], alpha: float
) -> StudyEntry:
    control = by_name.get(student.control or "")
    spread = student.seeds
    assert student.study is not None
    if spread is not None and spread.tasks:
        return StudyEntry(
            at=student.study.at,
            student=student.name,
            control=student.control,
            seeds=len(spread.rows),
            retained=spread.retained,
            control_retained=spread.control_retained,
            scores={task.task: task.student for task in spread.tasks},
            control_scores={task.task: task.control for task in spread.tasks if task.control is not None},
            gap_recovered=spread.gap_recovered,
        )
    return StudyEntry(
        at=student.study.at,
        student=student.name,
        control=student.control,
        retained=student.suite.retained,
        control_retained=control.suite.retained if control else None,
        scores=_scores(evidence, student.name, alpha),
        control_scores=_scores(evidence, control.name, alpha) if control else {},
        gap_recovered=student.gap_recovered,
    )


def _scores(evidence: Evidence, name: str, alpha: float) -> dict[str, Estimate]:
    """Return a model's mean score on each task, with an interval over test items."""
    models = {model.name: model for model in evidence.manifest.models}
    model = models[name]
    found = {task: _score(evidence, model, models[model.of[0]], task, alpha) for task in evidence.manifest.task_order}
    return {task: published(estimate) for task, estimate in found.items() if estimate is not None}


def _score(
    evidence: Evidence, model: PlannedModel, teacher: PlannedModel, task: str, alpha: float
) -> stats.Estimate | None:
    left, right = evidence.evaluated(teacher, task), evidence.evaluated(model, task, teacher)
    if left is None or right is None:
        return None
    facts = primary_metric(left)
    if facts.kind == "ratio_of_sums" or right.facts(facts.name) is None:
        return None
    joined = pair(left, right, facts)
    if joined.invalid is not None or joined.n < 2:
        return None
    if facts.kind == "binary" and np.isin(joined.student, (0.0, 1.0)).all():
        return stats.rate(joined.student, clusters=joined.clusters, alpha=alpha)
    return stats.mean_estimate(joined.student, clusters=joined.clusters, alpha=alpha)
