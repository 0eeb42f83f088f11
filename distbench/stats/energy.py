"""Energy ratios: two independent sets of windows, compared by their mean logarithms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import stats

from distbench.stats.estimate import Estimate, Status
from distbench.stats.samples import FloatArray, check_alpha
from distbench.stats.speed import FEWEST_LAUNCHES, Round

FEWEST_WINDOWS = 5  # a side, for an interval


def window_ratio(
    teacher: Mapping[Round, float],
    student: Mapping[Round, float],
    *,
    higher_is_better: bool = False,
    alpha: float = 0.05,
) -> Estimate:
    """Return how many times better the student is, with Welch's two-sided 1 − `alpha` interval on the logarithm.

    The values are windows by (launch, round), all above 0. A window is far longer than the noise that two neighbours
    share, so windows are not paired: the value is the ratio of geometric means, and the sides may differ in spread and
    in number (Welch 1947, "The generalization of 'Student's' problem when several different population variances are
    involved"). From three launches a side on, the mean of a launch is one draw: what differs from process to process
    is in all of its windows, and more of them do not average it out. With fewer, each window is a draw, and the method
    says so. Fewer than five windows a side give a value without an interval.
    """
    check_alpha(alpha)
    if not teacher or not student:
        side = "teacher" if not teacher else "student"
        return Estimate(None, None, None, 0, "ratio_of_windows", Status.UNDEFINED, f"no window of the {side}")
    if min(*teacher.values(), *student.values()) <= 0:
        return Estimate(None, None, None, 0, "ratio_of_windows", Status.UNDEFINED, "a window is not above 0")
    launches = min(len({launch for launch, _ in side}) for side in (teacher, student))
    by_launch = launches >= FEWEST_LAUNCHES
    better, worse = _draws(student, by_launch), _draws(teacher, by_launch)
    if not higher_is_better:
        better, worse = worse, better
    centre = float(better.mean() - worse.mean())
    n = min(len(teacher), len(student))
    if n < FEWEST_WINDOWS:
        reason = f"{n} windows; an interval needs at least {FEWEST_WINDOWS}"
        return Estimate(float(np.exp(centre)), None, None, n, "ratio_of_windows", Status.NO_INTERVAL, reason)
    draws = f"means of {launches} launches" if by_launch else "windows; the spread between launches is not in it"
    method = f"ratio of geometric means, Welch t interval over {draws}"
    error, df = _welch(better, worse)
    if error == 0:
        reason = "the windows of both sides are all equal: an instrument that coarse tells no spread"
        return Estimate(float(np.exp(centre)), None, None, n, method, Status.NO_INTERVAL, reason)
    reach = float(stats.t.ppf(1 - alpha / 2, df)) * error
    value, lo, hi = (float(np.exp(x)) for x in (centre, centre - reach, centre + reach))
    return Estimate(value, lo, hi, n, method, se=value * error, df=df, n_clusters=launches if by_launch else None)


def _draws(windows: Mapping[Round, float], by_launch: bool) -> FloatArray:
    """Return logarithms: of every window, or their mean in every launch."""
    if not by_launch:
        return np.log(list(windows.values()))
    launches: dict[int, list[float]] = {}
    for (launch, _), value in windows.items():
        launches.setdefault(launch, []).append(float(np.log(value)))
    return np.array([np.mean(logs) for logs in launches.values()])


def _welch(left: FloatArray, right: FloatArray) -> tuple[float, float]:
    """Return the standard error of a difference of means, and Welch–Satterthwaite degrees of freedom."""
    parts = [float(side.var(ddof=1)) / side.size for side in (left, right)]
    variance = sum(parts)
    if variance == 0:
        return 0.0, float("inf")
    df = variance**2 / sum(part**2 / (side.size - 1) for part, side in zip(parts, (left, right), strict=True))
    return float(np.sqrt(variance)), df
