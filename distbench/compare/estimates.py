"""From a statistic to the number in the result document."""

from __future__ import annotations

import math

from distbench import stats
from distbench.schema.result import Estimate


def published(estimate: stats.Estimate) -> Estimate:
    """Return an estimate as JSON can hold it: an unbounded limit becomes null, with the reason."""
    lo, hi = (_finite(limit) for limit in (estimate.lo, estimate.hi))
    reason = estimate.reason
    if reason is None and estimate.lo is not None and (lo is None or hi is None):
        reason = "the interval is unbounded on one side"
    return Estimate(
        value=_finite(estimate.value),
        lo=lo,
        hi=hi,
        n=estimate.n,
        method=estimate.method,
        status=str(estimate.status),
        reason=reason,
    )


def judged(estimate: stats.Estimate) -> Estimate:
    """Return an estimate that a threshold decides on, with what forbids that; other thresholds may be asked of it."""
    known = estimate.status is stats.Status.OK and estimate.interval is not None
    return published(estimate).model_copy(update={"too_few": stats.below_floor(estimate) if known else None})


def decidable(found: Estimate) -> Estimate:
    """Return a published estimate with what its number of samples says against deciding on it."""
    known = stats.Estimate(found.value, found.lo, found.hi, found.n, found.method)
    too_few = stats.below_floor(known) if found.too_few is None and known.interval is not None else found.too_few
    return found.model_copy(update={"too_few": too_few})


def missing(reason: str, method: str = "none") -> Estimate:
    """Return an estimate that does not exist, with the reason."""
    return Estimate(value=None, method=method, status="undefined", reason=reason)


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
