"""What a task says of the student against its teacher, such as KL: there is no teacher side to pair with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.estimates import published
from distbench.compare.evidence import Evaluated
from distbench.compare.ratios import ratio_of_sums
from distbench.compare.sides import ERROR, OK, Side
from distbench.schema.record import MetricFacts
from distbench.schema.result import Divergence
from distbench.schema.suite import TaskSpec


@dataclass(frozen=True)
class Statement:
    """A divergence as the result document holds it, the estimate behind it, which a gate needs, and its task."""

    result: Divergence
    estimate: stats.Estimate
    task: TaskSpec


def divergences(student: Evaluated, alpha: float) -> list[Statement]:
    """Return every statement about the student against its teacher; the primary one first."""
    facts = sorted((each for each in student.result.metrics if each.reference), key=lambda each: not each.primary)
    return [_statement(student.cell.task, each, student.side(each.name), alpha) for each in facts]


def _statement(task: TaskSpec, facts: MetricFacts, side: Side, alpha: float) -> Statement:
    estimate, infinite = _value(facts, side, alpha)
    result = Divergence(
        task=task.title,
        metric=facts.name,
        primary=facts.primary,
        higher_is_better=facts.higher_is_better,
        n=int((side.status == OK).sum()),
        value=published(estimate),
        infinite=infinite,
    )
    return Statement(result, estimate, task)


def _value(facts: MetricFacts, side: Side, alpha: float) -> tuple[stats.Estimate, int]:
    """Return the mean with its interval, and how many documents are infinite; an infinite mean is no number."""
    ran = side.status == OK
    scores = side.score[ran]
    failed, infinite = int((side.status == ERROR).sum()), int(np.isinf(scores).sum())
    why = None
    if failed:
        why = f"{failed} of {len(side)} documents failed; a mean of the others would be of another text"
    elif not scores.size:
        why = "no document was compared"
    elif np.isnan(scores).any():
        why = "a score is missing although its sample is marked ok"
    elif infinite:
        why = f"infinite on {infinite} of {scores.size} documents: the student gives a possible token probability 0"
    if why is not None:
        return stats.Estimate(None, None, None, int(scores.size), "none", stats.Status.UNDEFINED, why), infinite
    clusters = None if side.clusters is None else side.clusters[ran]
    return _mean(facts, side, ran, clusters, alpha), 0


def _mean(
    facts: MetricFacts, side: Side, ran: NDArray[np.bool_], clusters: NDArray[np.intp] | None, alpha: float
) -> stats.Estimate:
    scores = side.score[ran]
    if not facts.higher_is_better and not scores.any():
        return stats.Estimate(0.0, 0.0, 0.0, scores.size, stats.IDENTICAL)  # not one token differs in any document
    if facts.kind == "binary":
        return stats.rate(scores, clusters=clusters, alpha=alpha)
    if facts.kind == "mean":
        return stats.mean_estimate(scores, clusters=clusters, alpha=alpha)
    above, below = (side.numbers.get(name) for name in ("numerator", "denominator"))
    if above is None or below is None or not np.isfinite([above[ran], below[ran]]).all() or not below[ran].sum() > 0:
        reason = "the samples have no numerators and denominators"
        return stats.Estimate(None, None, None, scores.size, "none", stats.Status.UNDEFINED, reason)
    return ratio_of_sums(above[ran], below[ran], clusters, alpha)
