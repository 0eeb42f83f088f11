"""Do scores follow from the answers beside them, and were teacher and student asked the same?"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distbench.compare.evidence import Evaluated
from distbench.compare.sides import OK, Side
from distbench.errors import RefusedError
from distbench.schema.plan import PlannedModel
from distbench.schema.record import MetricFacts
from distbench.verify.looking import Look
from distbench.verify.samples import files
from distbench.verify.subject import Subject

TINY = 1e-9
ANSWER = "acc"  # the metric that scores the answer with the highest probability


@dataclass(frozen=True)
class _Counted:
    """How many scores of an evaluation contradict their answers; `exact`: the task scores nothing but the answer."""

    where: str
    student: str | None
    wrong: int
    exact: bool


def scores(subject: Subject, look: Look) -> None:
    """A 0/1 score says whether the stored answer is the right one.

    A task of lm-eval may score something else than its most probable answer; then it does so for every model. So
    where a score contradicts the answer beside it, and for another model on the same task none does, it is suspicious.
    """
    by_task: dict[str, list[_Counted]] = {}
    judged = {model.ref.identity: _judged(model) for model in subject.manifest.models if model.role != "teacher"}
    for where, evaluated in files(subject):
        for facts in evaluated.result.metrics:
            found = _contradicted(evaluated, facts)
            if found is not None:
                look.saw(found.size)
                cell = evaluated.cell
                counted = _Counted(where, judged.get(cell.model.identity), int(found.sum()), _exact(evaluated))
                by_task.setdefault(cell.task.title, []).append(counted)
    for title, each in by_task.items():
        if not any(one.exact for one in each) and all(one.wrong for one in each):
            look.unknown(title, "its score is not a function of the stored answer, for any model")
            continue
        for one in each:
            if one.wrong:
                say = look.damaged if one.exact else look.suspicious
                say(one.where, f"{one.wrong} scores contradict the answers beside them", one.student)
    if not look.checked:
        look.nothing("no metric scores an answer that is kept with its probability")


def _contradicted(evaluated: Evaluated, facts: MetricFacts) -> NDArray[np.bool_] | None:
    if facts.kind != "binary" or facts.name.split(",")[0] != ANSWER:
        return None
    side = _side(evaluated, facts.name)
    return None if side is None else contradictions(side, exact=_exact(evaluated))


def _exact(evaluated: Evaluated) -> bool:
    return evaluated.cell.task.use == "classification"


def _side(evaluated: Evaluated, metric: str) -> Side | None:
    """Return the samples; None where they are damaged, which another check says."""
    try:
        return evaluated.side(metric)
    except RefusedError:
        return None


def contradictions(side: Side, *, exact: bool) -> NDArray[np.bool_] | None:
    """Return which scores contradict their answers; None where no answer has probabilities.

    A right answer is the most probable one, so its probability is that of the label; no label is more probable than
    the answer. Two answers of one probability may go either way, unless a score is `exact`: right where both texts are
    the same (a choice of lm-eval may read like another one).
    """
    sure, label = side.numbers.get("confidence"), side.numbers.get("label_probability")
    if sure is None or label is None:
        return None
    known = (side.status == OK) & ~np.isnan(sure) & ~np.isnan(label)
    if not known.any():
        return None
    same = np.isclose(sure, label, rtol=TINY, atol=0.0)
    wrong_right = (side.score == 1.0) & ~same
    more_probable = (label > sure) & ~same
    found: NDArray[np.bool_] = known & (wrong_right | more_probable)
    if exact:
        found |= known & ((side.score == 1.0) != (side.prediction == side.label))
    return found


def documents(subject: Subject, look: Look) -> None:
    """A student was asked the documents that its teacher was asked: the same task, data, prompts and right answers."""
    models = {model.name: model for model in subject.manifest.models}
    parts = _parts(subject)
    for (task, identity), mine in parts.items():
        for model in (each for each in models.values() if each.ref.identity == identity and each.of):
            theirs = parts.get((task, models[model.of[0]].ref.identity)) if model.of[0] in models else None
            if theirs is None or model.ref.identity == models[model.of[0]].ref.identity:
                continue
            look.saw()
            for why in _different(theirs, mine):
                look.suspicious(f"{model.name} on {task}", why, _judged(model))


def _judged(model: PlannedModel) -> str:
    return model.control_of or model.seed_of or model.name


def _parts(subject: Subject) -> dict[tuple[str, str], list[Evaluated]]:
    """Return the evaluations of each (task, model), in the order of their parts."""
    found: dict[tuple[str, str], list[Evaluated]] = {}
    for _, evaluated in files(subject):
        found.setdefault((evaluated.cell.task.title, evaluated.cell.model.identity), []).append(evaluated)
    for each in found.values():
        each.sort(key=lambda one: one.cell.task.part.start if one.cell.task.part else 0)
    return found


def _different(teacher: list[Evaluated], student: list[Evaluated]) -> Iterator[str]:
    one, other = teacher[0].result, student[0].result
    if all(facts.reference for facts in other.metrics):
        return
    for what, left, right in (
        ("task version", one.task_version, other.task_version),
        ("data", one.data_digest, other.data_digest),
        ("prompts", one.prompt_digest, other.prompt_digest),
    ):
        if left != right:
            yield f"another {what} than its teacher's: {left[:16]} and {right[:16]}"
    yield from _other_metrics(one.metrics, other.metrics)
    shared = {facts.name for facts in one.metrics} & {facts.name for facts in other.metrics}
    metric = next((facts.name for facts in one.metrics if facts.primary and facts.name in shared), None)
    if metric is not None:
        yield from _other_samples(teacher, student, metric)


def _other_metrics(teacher: list[MetricFacts], student: list[MetricFacts]) -> Iterator[str]:
    """Yield metrics that mean something else for the student: where chance lies decides what is retained."""
    mine = {facts.name: facts for facts in student}
    for facts in teacher:
        same = mine.get(facts.name)
        if same is None:
            continue
        meaning = [(each.higher_is_better, each.best, each.neutral, each.primary) for each in (facts, same)]
        if meaning[0] != meaning[1] or not np.isclose(facts.baseline, same.baseline, rtol=TINY):
            yield f"metric {facts.name} means something else than for its teacher (chance, best or direction)"


def _other_samples(teacher: list[Evaluated], student: list[Evaluated], metric: str) -> Iterator[str]:
    if len(teacher) == len(student) == 1:
        sides = [_side(teacher[0], metric), _side(student[0], metric)]
        if sides[0] is None or sides[1] is None:
            return
        ids, labels = [side.ids for side in sides if side], [side.label for side in sides if side]
    else:
        ids, labels = [], []
        for each in (teacher, student):
            found = [side for part in each if (side := _side(part, metric)) is not None]
            ids.append(_joined([side.ids for side in found]))
            labels.append(np.concatenate([side.label for side in found]) if found else np.empty(0, np.uint64))
    at = _places(ids[1], ids[0])
    missing = int((at < 0).sum())
    grows = teacher[0].cell.task.part is not None
    lacking = len(ids[0]) - (len(ids[1]) - missing)
    if missing or (lacking and not grows):
        yield f"{missing} documents that its teacher was not asked, and {lacking} of its teacher's are missing"
    common = at >= 0
    other = int((labels[1][common] != labels[0][at[common]]).sum())
    if other:
        yield f"{other} documents have another right answer than for its teacher"


def _joined(parts: list[Any]) -> Any:
    import pyarrow as pa

    return pa.chunked_array(parts, type=pa.string()).combine_chunks() if parts else pa.array([], type=pa.string())


def _places(ids: Any, among: Any) -> NDArray[np.int64]:
    """Return where each id lies among others, −1 where it is not there."""
    import pyarrow.compute as pc

    if ids.equals(among):
        return np.arange(len(ids), dtype=np.int64)
    found: Any = pc.index_in(ids, value_set=among)
    places: NDArray[np.int64] = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return places
