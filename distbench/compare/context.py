"""Retention over the context length: up to where does the student keep up?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.estimates import missing, published
from distbench.compare.pairs import Pair
from distbench.schema.result import ContextCurve, LengthBucket

MOST_BUCKETS = 16  # a task with more nominal lengths than this is read in powers of two


def context_curve(joined: Pair, margin: float, alpha: float) -> ContextCurve | None:
    """Return R per context length, and the effective length; None where the samples have no length.

    A length that a side was asked at but that is in no joined sample is a bucket without a value, never a 0.
    """
    columns = joined.numbers("length")
    if columns is None or joined.invalid is not None:
        return None
    asked = np.concatenate([side.numbers["length"] for side in joined.sides])
    edges = _edges(asked[np.isfinite(asked)])
    bucket = np.searchsorted(edges, columns[0], side="left")
    bucket[~np.isfinite(columns[0])] = len(edges)  # without a length: in no bucket
    rows, estimates = [], {}
    for number, edge in enumerate(edges):
        mask = bucket == number
        length = int(edge)
        if not mask.any():
            rows.append(_empty(length))
            continue
        estimates[length] = _retained(joined, mask, alpha)
        rows.append(_bucket(length, joined, mask, estimates[length], margin))
    longest = stats.effective_length(estimates, margin, expected=[int(edge) for edge in edges])
    return ContextCurve(margin=margin, buckets=rows, effective_length=longest)


def _edges(lengths: NDArray[np.float64]) -> NDArray[np.float64]:
    distinct = np.unique(lengths)
    if distinct.size <= MOST_BUCKETS:
        return distinct
    return np.unique(2.0 ** np.ceil(np.log2(np.maximum(distinct, 1.0))))


def _retained(joined: Pair, mask: NDArray[np.bool_], alpha: float) -> stats.Estimate:
    clusters = joined.clusters
    estimate = stats.retained(
        joined.student[mask], joined.teacher[mask], baseline=joined.facts.baseline,
        higher_is_better=joined.facts.higher_is_better, clusters=None if clusters is None else clusters[mask],
        alpha=alpha,
    )  # fmt: skip
    if joined.same_outputs and estimate.status is not stats.Status.NO_SIGNAL:
        return stats.identical(int(mask.sum()))
    return estimate


def _empty(length: int) -> LengthBucket:
    why = missing("no sample of this length was answered by both")
    return LengthBucket(length=length, n=0, teacher=None, student=None, retained=why, verdict="INCONCLUSIVE")


def _bucket(
    length: int, joined: Pair, mask: NDArray[np.bool_], estimate: stats.Estimate, margin: float
) -> LengthBucket:
    return LengthBucket(
        length=length,
        n=int(mask.sum()),
        teacher=float(joined.teacher[mask].mean()),
        student=float(joined.student[mask].mean()),
        retained=published(estimate),
        verdict=stats.decide(estimate, margin).verdict.value,
    )
