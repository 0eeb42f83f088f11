"""`diff`: what changed from run A to run B, and which of it is more than chance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distbench import stats
from distbench.compare.diff_facts import model_facts, run_facts, same_model
from distbench.compare.diff_judge import adjusted, judge
from distbench.compare.diff_measures import Both, measure_changes, unlike
from distbench.compare.diff_models import Matched, matched, only_in
from distbench.compare.diff_retained import from_documents, over_all, same_tasks
from distbench.compare.diff_tasks import Draft, drafts
from distbench.compare.estimates import published
from distbench.compare.source import Source
from distbench.schema.diff import Basis, Diff, ModelChange, RunFacts, TaskChange
from distbench.schema.result import StudentResult, TeacherResult

MARGIN = 0.02  # of a score between 0 and 1, or of a retained share


@dataclass(frozen=True)
class Terms:
    """How a diff decides: error level, and what counts as unchanged."""

    alpha: float
    margin: float


def diff(a: Source, b: Source, *, margin: float = MARGIN, match: Mapping[str, str] | None = None) -> Diff:
    """Compare two runs: A before, B after. `match` names students that have other names: {name in A: name in B}.

    Scores are paired sample by sample where both run directories hold the same samples of the same task; p-values are
    Holm's over the tasks of a model. Raises UsageError where `match` names a student that a run does not have.
    """
    terms = Terms(min(a.result.alpha, b.result.alpha), margin)
    found: Matched = matched(a.result, b.result, match or {})
    before = {model.name for model, _ in found.teachers} | {model.name for model, _ in found.students}
    after = {model.name for _, model in found.teachers} | {model.name for _, model in found.students}
    teachers = [_teacher(a, b, one, other, terms) for one, other in found.teachers]
    same = {(each.name_a, each.name_b) for each in teachers if each.same}
    return Diff(
        a=_facts(a),
        b=_facts(b),
        alpha=terms.alpha,
        margin=margin,
        added=only_in(b.result, after),
        removed=only_in(a.result, before),
        facts=run_facts(a.result, b.result),
        teachers=teachers,
        students=[_student(a, b, one, other, terms, same) for one, other in found.students],
        notes=_notes(a, b, found),
    )


def _facts(source: Source) -> RunFacts:
    result = source.result
    return RunFacts(
        run=result.run,
        suite=result.suite,
        created_at=result.created_at,
        distbench=result.distbench,
        verdict=result.verdict,
        verdict_reason=result.verdict_reason,
        samples=source.evidence is not None,
    )


def _teacher(a: Source, b: Source, one: TeacherResult, other: TeacherResult, terms: Terms) -> ModelChange:
    tasks = _decided(drafts((a, one), (b, other), terms.alpha, terms.margin), terms)
    return ModelChange(
        role="teacher",
        name_a=one.name,
        name_b=other.name,
        label_a=one.label,
        label_b=other.label,
        same=same_model(one, other),
        facts=model_facts(one, other),
        tasks=tasks,
        reason="a teacher is judged task by task",
    )


def _student(
    a: Source, b: Source, one: StudentResult, other: StudentResult, terms: Terms, same: set[tuple[str, str]]
) -> ModelChange:
    drawn = drafts((a, one), (b, other), terms.alpha, terms.margin)
    change, basis, covered = _over_all((a, one), (b, other), drawn, terms)
    verdict, reason = judge(change, change.p_value, terms.margin, alpha=terms.alpha)
    both = Both(one, other, (a, b), same_teacher=(one.of[0], other.of[0]) in same if one.of and other.of else False)
    why = unlike(one.measured_on, other.measured_on) if one.measurements and other.measurements else ""
    return ModelChange(
        role=other.role,
        name_a=one.name,
        name_b=other.name,
        label_a=one.label,
        label_b=other.label,
        same=same_model(one, other),
        required=other.required,
        facts=model_facts(one, other),
        tasks=_decided(drawn, terms),
        retained_a=one.suite.retained,
        retained_b=other.suite.retained,
        retained_change=published(change.estimate),
        basis=basis,
        tasks_compared=covered,
        p_value=change.p_value,
        tolerance=terms.margin,
        verdict=verdict,
        reason=reason,
        verdict_a=one.verdict,
        verdict_b=other.verdict,
        compression_a=one.compression.get("bytes_on_disk"),
        compression_b=other.compression.get("bytes_on_disk"),
        measurements=measure_changes(both, terms.alpha),
        same_surroundings=not why if one.measurements and other.measurements else None,
        surroundings=why,
    )


def _decided(drawn: Sequence[Draft], terms: Terms) -> list[TaskChange]:
    """Give every task its verdict, Holm's p-values over all of them."""
    holm = adjusted([each.decides.p_value for each in drawn])
    many = sum(p is not None for p in holm)
    found = []
    for each, p in zip(drawn, holm, strict=True):
        verdict, reason = judge(
            each.decides, p, each.task.tolerance, alpha=terms.alpha, among=f"{many} tasks" if many > 1 else ""
        )
        text = "; ".join(part for part in (reason, each.note) if part)
        changed = {"p_value": each.decides.p_value, "p_holm": p, "verdict": verdict, "reason": text}
        found.append(each.task.model_copy(update=changed))
    return found


def _over_all(
    a: tuple[Source, StudentResult], b: tuple[Source, StudentResult], drawn: Sequence[Draft], terms: Terms
) -> tuple[stats.Change, Basis, list[str]]:
    """Return the change of the retention over all tasks, what it rests on, and the tasks that it covers.

    Paired where every task that both runs retain something of can be; else from the two published intervals, where
    both are over the same tasks.
    """
    kept = {each.task.task: each.twice for each in drawn if each.in_suite}
    paired = {name: twice for name, twice in kept.items() if twice is not None}
    if kept and len(paired) == len(kept):
        found = over_all(paired, terms.alpha)
        if found is not None:
            identical = found.estimate.method == stats.IDENTICAL
            return found, "identical" if identical else "paired", list(paired)
    names = ({task.task for task in a[1].tasks}, {task.task for task in b[1].tasks})
    if not same_tasks(a[1].suite, b[1].suite, names) or any(not each.comparable for each in drawn):
        why = "the retained shares are over other tasks, or tasks that are not the same"
        return stats.Change(stats.Estimate(None, None, None, 0, "none", stats.Status.UNDEFINED, why), None), "none", []
    alphas = (a[0].result.alpha, b[0].result.alpha)
    change, basis = from_documents(a[1].suite.retained, b[1].suite.retained, alphas, terms.alpha)
    return change, basis, sorted(names[0]) if basis != "none" else []


def _notes(a: Source, b: Source, found: Matched) -> list[str]:
    notes = list(found.notes)
    for name, source in (("A", a), ("B", b)):
        if source.evidence is None:
            notes.append(
                f"Of {name} only the result document was given: without its samples nothing is paired, and intervals "
                "of changes are wider than they need to be."
            )
        elif (gate := source.evidence.manifest.suite.gate) is not None and gate.sequential:
            notes.append(
                f"{name} stopped early: how many samples it has hangs on their scores, while the intervals of changes "
                "are for a number fixed before."
            )
    return notes
