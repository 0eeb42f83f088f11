"""One model on every task of two runs, before any verdict."""

from __future__ import annotations

from dataclasses import dataclass, replace

from distbench import stats
from distbench.compare.diff_retained import Four, from_documents, twice
from distbench.compare.diff_scores import ScoreChange, evaluations, obstacle, score_change
from distbench.compare.estimates import published
from distbench.compare.evidence import Evaluated
from distbench.compare.pairs import primary_metric
from distbench.compare.source import Source
from distbench.schema.diff import TaskChange
from distbench.schema.record import MetricFacts
from distbench.schema.result import Divergence, StudentResult, TaskResult, TeacherResult

Named = tuple[Source, StudentResult | TeacherResult]
_PENDING = "not judged yet"


@dataclass(frozen=True)
class Draft:
    """A task's change without its verdict. `decides` is the change that the verdict will rest on."""

    task: TaskChange
    decides: stats.Change
    note: str = ""
    twice: stats.RetainedTwice | None = None
    in_suite: bool = False
    comparable: bool = True


def drafts(a: Named, b: Named, alpha: float, margin: float) -> list[Draft]:
    """Return a draft for each task that either run has of this model, in the order of B, then of A."""
    names = dict.fromkeys([*_tasks(b), *_tasks(a)])
    found = [_draft(name, a, b, alpha, margin) for name in names]
    return [each for each in found if each is not None]


def _tasks(side: Named) -> list[str]:
    model = side[1]
    if isinstance(model, TeacherResult):
        return [task for task, score in model.scores.items() if score is not None or _evaluated(side, task)]
    return [*(task.task for task in model.tasks), *dict.fromkeys(each.task for each in model.divergence)]


def _evaluated(side: Named, task: str) -> Evaluated | None:
    return evaluations(side[0], side[1].name, task)


def _result(side: Named, task: str) -> TaskResult | None:
    model = side[1]
    rows = model.tasks if isinstance(model, StudentResult) else []
    return next((each for each in rows if each.task == task), None)


def _statement(side: Named, task: str) -> Divergence | None:
    model = side[1]
    rows = model.divergence if isinstance(model, StudentResult) else []
    return next((each for each in rows if each.task == task and each.primary), None)


def _draft(name: str, a: Named, b: Named, alpha: float, margin: float) -> Draft | None:
    files = _evaluated(a, name), _evaluated(b, name)
    if name not in _tasks(a) or name not in _tasks(b):
        where = "B" if name in _tasks(b) else "A"
        return _without(name, a, b, margin, f"only {where} has this task", comparable=False)
    if files[0] is None or files[1] is None:
        return _documents(name, a, b, alpha, margin)
    why = obstacle(files[0], files[1]) or _other_teacher(a, b, files[0])
    if why is not None:
        return _without(name, a, b, margin, why, comparable=False)
    return _samples(name, a, b, (files[0], files[1]), alpha, margin)


def _samples(name: str, a: Named, b: Named, files: tuple[Evaluated, Evaluated], alpha: float, margin: float) -> Draft:
    facts = primary_metric(files[0])
    found = score_change(*files, alpha)
    retained, four = _retained(name, a, b, found, files, alpha)
    task = _task(name, a, b, found.scores, found.counts).model_copy(
        update={
            "metric": facts.name,
            "higher_is_better": facts.higher_is_better,
            "change": published(found.change.estimate),
            "retained_change": published(retained.estimate),
            "basis": found.basis,
            "tolerance": margin if _is_share(facts) else margin * abs(found.scores[0] or 0.0),
        }
    )
    results = _result(a, name), _result(b, name)
    return Draft(
        task=task,
        decides=found.change,
        note=found.note,
        twice=four if found.joined is not None else None,
        in_suite=all(each is not None and each.retained.value is not None and each.gated for each in results),
        comparable=found.basis != "none",
    )


def _is_share(facts: MetricFacts) -> bool:
    """Say whether scores lie between 0 and 1, so that a margin has a meaning of its own."""
    ends = facts.baseline, facts.best
    return facts.kind != "ratio_of_sums" and min(ends) >= 0 and max(ends) <= 1


def _retained(
    name: str, a: Named, b: Named, found: ScoreChange, files: tuple[Evaluated, Evaluated], alpha: float
) -> tuple[stats.Change, stats.RetainedTwice | None]:
    """Return the change of the retained share, and the samples behind it where all four sides share them."""
    results = _result(a, name), _result(b, name)
    if results[0] is None or results[1] is None:
        return _nothing("a teacher retains nothing" if isinstance(a[1], TeacherResult) else "no retention"), None
    if found.basis == "none":
        return _nothing(found.change.estimate.reason or "not comparable"), None
    teachers = [_evaluated((side[0], teacher), name) if (teacher := _teacher(side)) else None for side in (a, b)]
    if found.joined is not None and teachers[0] is not None and teachers[1] is not None:
        four = twice(Four(files[0], teachers[0], files[1], teachers[1]), files[1].cell.task.weight)
        if four is not None and "invalid" not in {each.retained.status for each in results if each}:
            return stats.retained_change([replace(four, weight=1.0)], alpha=alpha), four
    alphas = (a[0].result.alpha, b[0].result.alpha)
    return from_documents(results[0].retained, results[1].retained, alphas, alpha)[0], None


def _other_teacher(a: Named, b: Named, file: Evaluated) -> str | None:
    """Say that a statement about a student against its teacher is about another teacher."""
    if not primary_metric(file).reference or isinstance(a[1], TeacherResult) or isinstance(b[1], TeacherResult):
        return None
    teachers = _teacher(a), _teacher(b)
    same = teachers[0] is not None and teachers[1] is not None and teachers[0].identity == teachers[1].identity
    return None if same else "it compares the student with its teacher, and the teacher is another"


def _teacher(side: Named) -> TeacherResult | None:
    """Return the teacher that a student is compared with."""
    source, model = side
    first = model.of[:1] if isinstance(model, StudentResult) else []
    return next((each for each in source.result.teachers if each.name in first), None)


def _documents(name: str, a: Named, b: Named, alpha: float, margin: float) -> Draft | None:
    """Compare what two result documents say of a task: the retained shares, as of unrelated samples."""
    results = _result(a, name), _result(b, name)
    if results[0] is None or results[1] is None:
        return _without(name, a, b, margin, "there are no samples of both runs, and no retained share")
    if results[0].metric != results[1].metric:
        why = f"A was scored by {results[0].metric}, B by {results[1].metric}"
        return _without(name, a, b, margin, why, comparable=False)
    versions = [each.asked.version for each in results if each is not None]
    if None not in versions and versions[0] != versions[1]:
        why = f"the task is another: version {versions[0]} in A, {versions[1]} in B"
        return _without(name, a, b, margin, why, comparable=False)
    alphas = (a[0].result.alpha, b[0].result.alpha)
    change, basis = from_documents(results[0].retained, results[1].retained, alphas, alpha)
    draft = _without(name, a, b, margin, "no samples of both runs")
    value = None
    if results[0].student is not None and results[1].student is not None:
        value = (results[1].student - results[0].student) * (1 if results[1].higher_is_better else -1)
    unknown = "the samples of both runs would be needed for an interval"
    score = stats.Estimate(value, None, None, 0, "means", stats.Status.NO_INTERVAL, unknown)
    note = "from the two result documents, as if of unrelated samples"
    if None in versions:
        note += "; a document does not record the version of the task"
    updated = draft.task.model_copy(
        update={
            "change": published(score),
            "retained_change": published(change.estimate),
            "basis": basis,
            "judged_by": "retained",
        }
    )
    kept = results[0].gated and results[1].gated and change.estimate.value is not None
    return replace(draft, task=updated, decides=change, note=note, in_suite=kept)


def _without(name: str, a: Named, b: Named, margin: float, why: str, *, comparable: bool = True) -> Draft:
    """Return a task of which no change can be formed."""
    scores = _score(a, name), _score(b, name)
    none = _nothing(why)
    counts = _count(a, name), _count(b, name)
    task = _task(name, a, b, scores, counts).model_copy(
        update={"change": published(none.estimate), "retained_change": published(none.estimate), "tolerance": margin}
    )
    return Draft(task, none, comparable=comparable)


def _task(
    name: str, a: Named, b: Named, scores: tuple[float | None, float | None], counts: tuple[int, int]
) -> TaskChange:
    results = _result(a, name), _result(b, name)
    known = results[1] or results[0] or _statement(b, name) or _statement(a, name)
    nothing = published(_nothing(_PENDING).estimate)
    return TaskChange(
        task=name,
        metric=known.metric if known else "",
        higher_is_better=known.higher_is_better if known else True,
        score_a=scores[0],
        score_b=scores[1],
        n_a=counts[0],
        n_b=counts[1],
        retained_a=results[0].retained if results[0] else None,
        retained_b=results[1].retained if results[1] else None,
        change=nothing,
        retained_change=nothing,
        basis="none",
        tolerance=0.0,
        verdict="cannot_be_told",
        reason=_PENDING,
    )


def _score(side: Named, name: str) -> float | None:
    model = side[1]
    if isinstance(model, TeacherResult):
        return model.scores.get(name)
    found, statement = _result(side, name), _statement(side, name)
    return found.student if found else statement.value.value if statement else None


def _count(side: Named, name: str) -> int:
    found, statement = _result(side, name), _statement(side, name)
    if found is not None or statement is not None:
        return found.n if found else statement.n if statement else 0
    file = _evaluated(side, name)
    return len(file.side(primary_metric(file).name)) if file else 0


def _nothing(reason: str) -> stats.Change:
    return stats.Change(stats.Estimate(None, None, None, 0, "none", stats.Status.UNDEFINED, reason), None)
