"""Retention over the context length: up to where does the student keep up?"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.estimates import published
from distbench.compare.evidence import Evaluated
from distbench.compare.lengths import MOST_LENGTHS, WHO, not_run
from distbench.compare.pairs import Pair, covered
from distbench.schema.result import ContextCurve, LengthBucket

_Mask: TypeAlias = NDArray[np.bool_]


def context_curve(joined: Pair, files: tuple[Evaluated, Evaluated], margin: float, alpha: float) -> ContextCurve | None:
    """Return R per context length, and the effective length; None where the samples have no length.

    Each length has a coverage of its own: one that a model does not take leaves the others as they are, although the
    task as a whole is then INVALID. A length without joined samples is a bucket without a value, never a 0.
    """
    columns = joined.numbers("length")
    if columns is None or joined.broken is not None:
        return None
    asked = [side.numbers["length"] for side in joined.sides]
    edges = _edges(np.unique(np.concatenate([each[np.isfinite(each)] for each in asked])))
    answered, *by_side = (_places(edges, each) for each in (columns[0], *asked))
    rows, estimates = [], {}
    for number, edge in enumerate(edges):
        mask, length = answered == number, int(edge)
        wanted = by_side[0] == number, by_side[1] == number
        enough, total = covered(int(mask.sum()), (int(wanted[0].sum()), int(wanted[1].sum())), ahead=joined.ahead)
        if enough:
            estimates[length] = _retained(joined, mask, alpha)
        else:
            estimates[length] = _uncovered(joined, files, wanted, answered=int(mask.sum()), total=total)
        rows.append(_bucket(length, joined, mask, estimates[length], margin))
    return ContextCurve(margin=margin, buckets=rows, effective_length=stats.effective_length(estimates, margin))


def _places(edges: NDArray[np.float64], lengths: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the bucket of each sample; one without a length is in none of them."""
    found = np.searchsorted(edges, lengths, side="left")
    found[~np.isfinite(lengths)] = len(edges)
    return found


def _uncovered(
    joined: Pair, files: tuple[Evaluated, Evaluated], wanted: tuple[_Mask, _Mask], *, answered: int, total: int
) -> stats.Estimate:
    """Return an estimate without a value that says on which side the length was not run, and why."""
    said = [not_run(*each) for each in zip(WHO, joined.sides, files, wanted, strict=True)]
    why = "; ".join(each for each in said if each) or f"only {answered} of {total} samples were answered by both"
    return stats.Estimate(None, None, None, answered, "none", stats.Status.INVALID, why)


def _edges(distinct: NDArray[np.float64]) -> NDArray[np.float64]:
    if distinct.size <= MOST_LENGTHS:
        return distinct
    return np.unique(2.0 ** np.ceil(np.log2(np.maximum(distinct, 1.0))))


def _retained(joined: Pair, mask: _Mask, alpha: float) -> stats.Estimate:
    clusters = joined.clusters
    estimate = stats.retained(
        joined.student[mask], joined.teacher[mask], baseline=joined.facts.baseline,
        higher_is_better=joined.facts.higher_is_better, clusters=None if clusters is None else clusters[mask],
        alpha=alpha,
    )  # fmt: skip
    if joined.same_outputs and estimate.status is not stats.Status.NO_SIGNAL:
        return stats.identical(int(mask.sum()))
    return estimate


def _bucket(length: int, joined: Pair, mask: _Mask, estimate: stats.Estimate, margin: float) -> LengthBucket:
    some = bool(mask.any())
    return LengthBucket(
        length=length,
        n=int(mask.sum()),
        teacher=float(joined.teacher[mask].mean()) if some else None,
        student=float(joined.student[mask].mean()) if some else None,
        retained=published(estimate),
        verdict=stats.decide(estimate, margin).verdict.value,
    )
