"""Better, worse, unchanged or not to be told: the verdict on a change."""

from __future__ import annotations

from collections.abc import Sequence

from distbench import stats
from distbench.schema.diff import ChangeVerdict

Judged = tuple[ChangeVerdict, str]


def adjusted(p_values: Sequence[float | None]) -> list[float | None]:
    """Return the p-values after Holm over all that exist."""
    return stats.adjust_p_values(list(p_values))


def judge(change: stats.Change, p_holm: float | None, tolerance: float, *, alpha: float, among: str = "") -> Judged:
    """Decide on a change whose + is better.

    Unchanged where the interval lies within ± `tolerance`, however significant what is left; better or worse where the
    p-value after Holm is at most `alpha`; otherwise nobody can tell. `among` names what Holm counted, "5 tasks".
    """
    found = change.estimate
    if found.method == stats.IDENTICAL:
        return "unchanged", "every answer is the same"
    limits = found.interval
    if found.value is None or limits is None or change.p_value is None:
        return "cannot_be_told", found.reason or "there is no interval"
    if (few := stats.below_floor(found)) is not None:
        return "cannot_be_told", few
    return _by_interval(found.value, limits, (change.p_value, p_holm), tolerance, alpha, among)


def _by_interval(
    value: float, limits: stats.Interval, p: tuple[float, float | None], tolerance: float, alpha: float, among: str
) -> Judged:
    if -tolerance <= limits.lo and limits.hi <= tolerance:
        return "unchanged", f"the whole interval lies within ±{tolerance:.3g}"
    if p[1] is not None and p[1] <= alpha:
        return ("better" if value > 0 else "worse"), f"p = {p[1]:.2g}" + (f" after Holm over {among}" if among else "")
    if p[0] <= alpha:
        return "cannot_be_told", f"p = {p[0]:.2g}, but {p[1]:.2g} after Holm over {among}"
    return "cannot_be_told", f"the interval holds 0 and is wider than ±{tolerance:.3g}"
