"""An early-stopping gate: what the samples so far decide, and which ones would be needed next.

Recomputed from the records alone: the looks follow from the sizes of the tasks, and every look is taken again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from distbench import stats
from distbench.compare.estimates import judged, missing
from distbench.compare.policies import asked_of
from distbench.compare.tasks import Compared
from distbench.schema.record import DrawnFacts
from distbench.schema.result import SuiteScore, Verdict
from distbench.schema.suite import GateSpec


def growing(compared: Sequence[Compared]) -> list[Compared]:
    """Return the tasks that are in the suite's retention and were drawn in parts."""
    return [c for c in compared if c.claim is not None and is_part(c)]


def is_part(compared: Compared) -> bool:
    """Say whether a task was asked part by part."""
    return compared.files[0].cell.task.part is not None


def decide(compared: Sequence[Compared], gate: GateSpec) -> stats.SequentialDecision | None:
    """Return what the samples so far decide; None where nothing grows, or where nothing can be said early.

    The latter: no task with a retention, a comparison that is not valid, or scores without a known range. Such a run is
    evaluated in full and judged as one of a fixed size.
    """
    claims = [c for c in compared if c.claim is not None]
    if not growing(compared) or any(c.pair.invalid or not _bounded(c) for c in claims):
        return None
    drawn = {c.result.task: _drawn(c) for c in claims}
    schedule = stats.look_schedule({name: facts.cluster_sizes or facts.total for name, facts in drawn.items()})
    rule = stats.SequentialRule(gate.retained, stats.SuiteRule(gate.suite_rule), gate.alpha)
    return stats.decide_so_far([_task(c, drawn[c.result.task], gate) for c in claims], rule, schedule=schedule)


def wanted(compared: Sequence[Compared], gate: GateSpec) -> dict[str, int]:
    """Return {task: samples that the next look needs} for tasks that need more; empty: the verdict is final."""
    grown = {c.result.task: (c, _drawn(c)) for c in compared if is_part(c)}
    decision = decide(compared, gate)
    if decision is None:
        needs = {name: drawn.total for name, (_, drawn) in grown.items()}
    else:
        # what is shown beside the gate (bits per byte, bias) has no early verdict: it is asked in full
        needs = {name: drawn.total for name, (c, drawn) in grown.items() if c.claim is None}
        needs |= {name: n for name, n in (decision.wanted or {}).items() if name in grown}
    return {name: n for name, n in needs.items() if n > _have(grown[name][0])}


def sequential_score(decision: stats.SequentialDecision, compared: Sequence[Compared], absent: list[str]) -> SuiteScore:
    """Return the suite's retention with the anytime-valid interval and the verdict that rests on it."""
    verdict: Verdict = decision.verdict.value
    sizes = {c.result.task: _drawn(c).total for c in compared if c.claim is not None}
    used, total = sum(decision.samples.values()), sum(sizes.values())
    said = f"decided after {used:,} of {total:,} samples" if decision.final else f"{used:,} of {total:,} samples so far"
    reason = f"{decision.reason}; {said}"
    if absent and verdict == "PASS":
        verdict, reason = "INCONCLUSIVE", f"{', '.join(absent)} did not finish"
    return SuiteScore(
        retained=judged(decision.suite.estimate),
        mean_of_ratios=decision.suite.mean_of_ratios,
        worst_task=decision.suite.worst_task,
        verdict=verdict,
        reason=reason,
        left_out=list(decision.suite.left_out),
        looks=len(decision.looks),
        samples={name: (n, sizes[name]) for name, n in decision.samples.items()},
    )


def restated(compared: Compared, decision: stats.SequentialDecision) -> Compared:
    """Return a task with its anytime-valid interval and verdict in place of those of a fixed size."""
    name = compared.result.task
    if compared.claim is None or name not in decision.claims:
        return compared
    estimate = decision.suite.tasks[name]
    said = stats.decide(estimate, compared.claim.margin)
    why = missing("the samples were not fixed in number before; see the retention")
    result = compared.result.model_copy(
        update={
            "retained": judged(estimate),
            "retained_raw": why,
            "verdict": said.verdict.value,
            "reason": said.reason,
        }
    )
    return replace(compared, result=result)


def _task(compared: Compared, drawn: DrawnFacts, gate: GateSpec) -> stats.GrowingTask:
    pair, facts, sizes = compared.pair, compared.pair.facts, drawn.cluster_sizes
    assert compared.claim is not None
    assert compared.part is not None
    teacher, student = compared.files
    return stats.GrowingTask(
        name=compared.result.task,
        student=pair.student,
        teacher=pair.teacher,
        total=drawn.total,
        scale=(facts.baseline, facts.best),
        bounds=_bounds(compared),
        # a task that no verdict depends on may be as bad as it likes: nothing waits for it
        floor=compared.claim.margin if asked_of(gate, teacher.cell.task).required else 0.0,
        weight=compared.part.weight,
        clusters=None if sizes is None or pair.clusters is None else pair.clusters.tolist(),
        cluster_plan=None if sizes is None or pair.clusters is None else stats.ClusterPlan(len(sizes), max(sizes)),
        same_outputs=teacher.cell.model.identity == student.cell.model.identity,
    )


def _bounds(compared: Compared) -> tuple[float, float]:
    facts = compared.pair.facts
    ends = (0.0, 1.0, facts.baseline, facts.best)
    return min(ends), max(ends)


def _bounded(compared: Compared) -> bool:
    """Say whether every score lies where its metric's scores can lie; an early verdict needs a range."""
    low, high = _bounds(compared)
    return all(
        low <= scores.min() and scores.max() <= high for scores in (compared.pair.student, compared.pair.teacher)
    )


def _drawn(compared: Compared) -> DrawnFacts:
    """Return the plan of a task's draw; one that was asked in full is a draw of what was asked."""
    facts = compared.files[0].result.drawn
    if facts is None or not is_part(compared):
        n = compared.pair.n
        return DrawnFacts(total=n, start=0, stop=n)
    return facts


def _have(compared: Compared) -> int:
    """Return how many samples both sides have."""
    stops = [each.result.drawn.stop for each in compared.files if each.result.drawn is not None]
    return min(stops) if is_part(compared) and stops else compared.pair.n
