"""Every sample of teacher and student side by side, as the comparison pairs them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from distbench.api.frames import typed
from distbench.compare.evidence import Evaluated, Evidence
from distbench.compare.pairs import Pair, pair, primary_metric
from distbench.compare.sides import ERROR, NOT_RUN, STATUS
from distbench.errors import RunError, UsageError, did_you_mean
from distbench.schema.plan import PlannedModel
from distbench.schema.record import MetricFacts
from distbench.store.run_dir import RunDir
from distbench.store.samples import read_batches
from distbench.tables.table import Column, number, text

COLUMNS: tuple[Column, ...] = (
    text("student", "name of the student"),
    text("of", "name of the teacher"),
    text("task", "name of the task"),
    text("metric", "what is scored"),
    text("sample_id", "the sample: the same in every run that asks it"),
    text(
        "kind",
        "right or wrong: both_right, both_wrong, lost (only the teacher is right), won (only the student is); "
        "other scores: better, worse, equal; empty where the two cannot be compared",
    ),
    number("teacher_score", "score of the teacher, in the unit of the metric; a crashed answer has the worst score"),
    number("student_score", "score of the student, in the unit of the metric; a crashed answer has the worst score"),
    text("label", "the right answer"),
    text("teacher_answer", "what the teacher answered"),
    text("student_answer", "what the student answered"),
    text("prompt", "what was asked"),
    text("teacher_status", "ok, error (crashed or not parsed), not_run, or absent: there is no record"),
    text("student_status", "the same of the student"),
    text("reason", "why the two cannot be compared, or what is odd about a score"),
)
TEXTS = ("prompt", "label", "prediction")
_NAMES = np.array([*STATUS, "absent"], dtype=object)
_ABSENT = len(STATUS)


def paired_samples(
    run: RunDir, *, task: str | None, student: str | None, metric: str | None, texts: bool
) -> pd.DataFrame:
    """Return the rows of every student and task that were asked for; see `Run.samples`."""
    evidence = Evidence(run)
    models = _models(evidence, student)
    tasks = _tasks(evidence, task)
    teachers = {each.name: each for each in evidence.models("teacher")}
    parts = []
    for model in models:
        teacher = teachers[model.of[0]]
        for name in tasks:
            right = evidence.evaluated(model, name, teacher)
            left = evidence.evaluated(teacher, name)
            if left is not None and right is not None:
                parts += _rows(model, teacher, (left, right), metric, texts=texts)
            elif student is not None and task is not None:
                raise RunError(f"{run.path}: {_unfinished(name, teacher if left is None else model, right)}")
    if not parts:
        if metric is not None:
            raise UsageError(f"no finished task reports a metric {metric!r}")
        return typed({each.name: [] for each in COLUMNS}, COLUMNS)
    return pd.concat(parts, ignore_index=True)


def _models(evidence: Evidence, wanted: str | None) -> list[PlannedModel]:
    models = [each for each in evidence.manifest.models if each.role != "teacher"]
    if wanted is None:
        return [each for each in models if each.seed_of is None]
    found = [each for each in models if each.name == wanted]
    if not found:
        names = [each.name for each in models]
        raise UsageError(
            f"no student {wanted!r} in {evidence.run.path}{did_you_mean(wanted, names)} (there are: {', '.join(names)})"
        )
    return found


def _tasks(evidence: Evidence, wanted: str | None) -> list[str]:
    names = evidence.manifest.task_order
    if wanted is not None and wanted not in names:
        raise UsageError(
            f"no task {wanted!r} in {evidence.run.path}{did_you_mean(wanted, names)} (there are: {', '.join(names)})"
        )
    return names if wanted is None else [wanted]


def _unfinished(task: str, missing: PlannedModel, right: Evaluated | None) -> str:
    if missing.role == "teacher" and right is not None and all(facts.reference for facts in right.result.metrics):
        return f"{task} compares the student with its teacher itself: no sample has a teacher's side"
    return f"{missing.name} did not finish {task}: it has no samples"


def _rows(
    model: PlannedModel, teacher: PlannedModel, sides: tuple[Evaluated, Evaluated], metric: str | None, *, texts: bool
) -> list[pd.DataFrame]:
    facts = primary_metric(sides[0]) if metric is None else sides[0].facts(metric)
    if facts is None or sides[1].facts(facts.name) is None:
        return []
    joined = pair(*sides, facts)
    outer = _outer(joined)
    values: dict[str, Any] = {
        "student": model.name,
        "of": teacher.name,
        "task": joined.task,
        "metric": facts.name,
        "sample_id": outer.ids,
        "kind": _kinds(joined, outer),
        "teacher_score": outer.scores[0],
        "student_score": outer.scores[1],
        "teacher_status": _NAMES[outer.status[0]],
        "student_status": _NAMES[outer.status[1]],
        "reason": _reasons(joined, outer),
        **_answers(sides, outer, facts, texts=texts),
    }
    size = len(outer.ids)
    return [typed({name: [held] * size if isinstance(held, str) else held for name, held in values.items()}, COLUMNS)]


@dataclass(frozen=True)
class _Outer:
    """Every sample of either side: where it lies on both (−1: it does not), and which ones the comparison pairs."""

    ids: list[str]
    at: tuple[NDArray[np.intp], NDArray[np.intp]]
    paired: NDArray[np.bool_]
    status: tuple[NDArray[np.intp], NDArray[np.intp]]
    scores: tuple[NDArray[np.float64], NDArray[np.float64]]


def _outer(joined: Pair) -> _Outer:
    left, right = (pd.Index(side.ids.to_pylist(), dtype=object) for side in joined.sides)
    here = right.get_indexer(left)
    only_right = np.setdiff1d(np.arange(len(right)), here)
    at = (
        np.concatenate([np.arange(len(left)), np.full(only_right.size, -1)]),
        np.concatenate([here, only_right]),
    )
    places = np.arange(len(left))[joined.places[0]]  # a row of the outer join begins with the teacher's own order
    paired = np.zeros(at[0].size, dtype=bool)
    paired[places] = True
    scores, status = [], []
    for side, where, counted in zip(joined.sides, at, (joined.teacher, joined.student), strict=True):
        score = _taken(side.score, where, np.nan)
        score[places] = counted
        scores.append(score)
        status.append(_taken(side.status, where, _ABSENT).astype(np.intp))
    ids = [*left, *(right[k] for k in only_right)]
    return _Outer(ids, at, paired, (status[0], status[1]), (scores[0], scores[1]))


def _taken(values: NDArray[Any], at: NDArray[np.intp], otherwise: float) -> NDArray[Any]:
    """Return values by place, and `otherwise` where there is no place."""
    found = np.full(at.size, otherwise, dtype=np.result_type(values.dtype, type(otherwise)))
    found[at >= 0] = values[at[at >= 0]]
    return found


def _kinds(joined: Pair, outer: _Outer) -> NDArray[np.object_]:
    kinds = np.full(len(outer.ids), None, dtype=object)
    facts = joined.facts
    if joined.broken is not None or facts.neutral is not None:
        return kinds
    teacher, student = outer.scores
    known = outer.paired & np.isfinite(teacher) & np.isfinite(student)
    change = (student - teacher) * (1.0 if facts.higher_is_better else -1.0)
    if facts.kind == "binary":
        right = (teacher == facts.best) & (change == 0)
        names = {"lost": change < 0, "won": change > 0, "both_right": right, "both_wrong": (change == 0) & ~right}
    else:
        names = {"worse": change < 0, "better": change > 0, "equal": change == 0}
    for name, where in names.items():
        kinds[known & where] = name
    return kinds


def _reasons(joined: Pair, outer: _Outer) -> NDArray[np.object_]:
    reasons = np.full(len(outer.ids), None, dtype=object)
    for side, who in ((0, "teacher"), (1, "student")):
        status = outer.status[side]
        reasons[outer.paired & (status == ERROR)] = f"the {who}'s answer crashed: it counts as the worst score"
        alone = ~outer.paired
        reasons[alone & (status == ERROR)] = f"the {who}'s answer crashed, and this metric has no worst score"
        reasons[alone & (status == NOT_RUN)] = f"not run for the {who}"
        reasons[alone & (status == _ABSENT)] = f"no record of the {who}"
    if joined.broken is not None:
        reasons[:] = joined.broken
    elif joined.facts.neutral is not None:
        reasons[outer.paired] = "a bias rate: no answer is better or worse by itself"
    return reasons


def _answers(
    sides: tuple[Evaluated, Evaluated], outer: _Outer, facts: MetricFacts, *, texts: bool
) -> dict[str, NDArray[np.object_]]:
    """Return the texts of both sides; what was asked and the right answer come from whichever side has them."""
    empty = np.full(len(outer.ids), None, dtype=object)
    if not texts:
        return dict.fromkeys(("label", "teacher_answer", "student_answer", "prompt"), empty)
    left, right = (
        {name: _taken_texts(column, at) for name, column in _texts(side, facts.name).items()}
        for side, at in zip(sides, outer.at, strict=True)
    )
    alone = outer.at[0] < 0
    return {
        "label": np.where(alone, right["label"], left["label"]),
        "prompt": np.where(alone, right["prompt"], left["prompt"]),
        "teacher_answer": left["prediction"],
        "student_answer": right["prediction"],
    }


def _texts(side: Evaluated, metric: str) -> dict[str, NDArray[np.object_]]:
    """Return the texts of one metric's records, in the order of their files."""
    import pyarrow.compute as pc

    parts: dict[str, list[Any]] = {name: [] for name in TEXTS}
    for batch in read_batches(side.files, ("metric", *TEXTS)):
        mine = batch.filter(pc.equal(batch.column("metric"), metric))
        for name in TEXTS:
            parts[name] += mine.column(name).to_pylist()
    return {name: np.array([*values, None], dtype=object)[:-1] for name, values in parts.items()}


def _taken_texts(texts: NDArray[np.object_], at: NDArray[np.intp]) -> NDArray[np.object_]:
    found = np.full(at.size, None, dtype=object)
    found[at >= 0] = texts[at[at >= 0]]
    return found
