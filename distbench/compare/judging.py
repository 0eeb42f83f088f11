"""A threshold asked of a number that is published already: decided by the ends of its interval, as the gate decides."""

from __future__ import annotations

import math

from distbench import stats
from distbench.schema.estimate import Estimate, Verdict

Judged = tuple[Verdict, str]
_WITHOUT: dict[str, Verdict] = {"invalid": "INVALID", "no_signal": "NO_SIGNAL", "no_gap": "NO_SIGNAL"}


def at_least(found: Estimate, threshold: float) -> Judged:
    """Return PASS where the lower limit reaches the threshold, FAIL where the upper one does not, and the sentence.

    INCONCLUSIVE where the interval holds the threshold, where there is none, or where it rests on too few samples.
    """
    lo, hi = _limits(found)
    if (open_verdict := _undecidable(found)) is not None:
        return open_verdict
    if lo >= threshold:
        return "PASS", f"lower limit {lo:.4f} ≥ {threshold:g}"
    if hi < threshold:
        return "FAIL", f"upper limit {hi:.4f} < {threshold:g}"
    return "INCONCLUSIVE", f"the interval {_end(lo)} to {_end(hi)} holds {threshold:g}"


def at_most(found: Estimate, ceiling: float) -> Judged:
    """Return PASS where the upper limit stays within the ceiling, FAIL where the lower one does not, and why."""
    lo, hi = _limits(found)
    if (open_verdict := _undecidable(found)) is not None:
        return open_verdict
    if hi <= ceiling:
        return "PASS", f"upper limit {hi:.4f} ≤ {ceiling:g}"
    if lo > ceiling:
        return "FAIL", f"lower limit {lo:.4f} > {ceiling:g}"
    return "INCONCLUSIVE", f"the interval {_end(lo)} to {_end(hi)} holds {ceiling:g}"


def _limits(found: Estimate) -> tuple[float, float]:
    """Return the limits; a null one beside a number is unbounded."""
    return (-math.inf if found.lo is None else found.lo), (math.inf if found.hi is None else found.hi)


def _end(limit: float) -> str:
    return f"{limit:.4f}".replace("inf", "∞").replace("-∞", "−∞")


def _undecidable(found: Estimate) -> Judged | None:
    if found.value is None or found.status != str(stats.Status.OK):
        return _WITHOUT.get(found.status, "INCONCLUSIVE"), found.reason or "there is no number"
    if found.lo is None and found.hi is None:
        return "INCONCLUSIVE", found.reason or "there is no interval"
    return ("INCONCLUSIVE", found.too_few) if found.too_few else None
