"""Energy ratios: windows of both sides, compared by their mean logarithms."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import scipy

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
    """Return how many times better the student is, with a two-sided 1 − `alpha` interval on the logarithm.

    The values are windows by (launch, round), all above 0; the value is a ratio of geometric means. A window is far
    longer than what two neighbours share, so windows are no pairs: each is a draw, and the sides may differ in spread
    and in number (Welch 1947, "The generalization of 'Student's' problem when several different population variances
    are involved"). From three common launches on, a launch is one draw: the difference of its two mean logarithms, with
    Student's t over launches. What differs from process to process is in all windows of one, which more of them do not
    average out; and what drifts from launch to launch (a warm room, a busy neighbour) is in both sides and cancels.
    Fewer than five windows a side give a value without an interval.
    """
    check_alpha(alpha)
    if not teacher or not student:
        side = "teacher" if not teacher else "student"
        return Estimate(None, None, None, 0, "ratio_of_windows", Status.UNDEFINED, f"no window of the {side}")
    if min(*teacher.values(), *student.values()) <= 0:
        return Estimate(None, None, None, 0, "ratio_of_windows", Status.UNDEFINED, "a window is not above 0")
    better, worse = (student, teacher) if higher_is_better else (teacher, student)
    common = sorted({launch for launch, _ in teacher} & {launch for launch, _ in student})
    n = min(len(teacher), len(student))
    if len(common) >= FEWEST_LAUNCHES:
        centre, error, df = _over_launches(_by_launch(better, common) - _by_launch(worse, common))
        method = f"ratio of geometric means in each of {len(common)} launches, t interval over launches"
    else:
        centre, error, df = _welch(*(np.log(list(side.values())) for side in (better, worse)))
        method = "ratio of geometric means, Welch t interval over windows; the spread between launches is not in it"
    value = float(np.exp(centre))
    if n < FEWEST_WINDOWS:
        reason = f"{n} windows; an interval needs at least {FEWEST_WINDOWS}"
        return Estimate(value, None, None, n, "ratio_of_windows", Status.NO_INTERVAL, reason)
    if error == 0:
        reason = "the windows show no spread: an instrument that coarse tells none"
        return Estimate(value, None, None, n, method, Status.NO_INTERVAL, reason)
    reach = float(scipy.stats.t.ppf(1 - alpha / 2, df)) * error
    lo, hi = (float(np.exp(x)) for x in (centre - reach, centre + reach))
    launches = len(common) if len(common) >= FEWEST_LAUNCHES else None
    return Estimate(value, lo, hi, n, method, se=value * error, df=df, n_clusters=launches)


def _by_launch(windows: Mapping[Round, float], launches: list[int]) -> FloatArray:
    """Return the mean logarithm of the windows of each launch, in the order of `launches`."""
    return np.array([np.mean([np.log(value) for (at, _), value in windows.items() if at == one]) for one in launches])


def _over_launches(differences: FloatArray) -> tuple[float, float, float]:
    """Return mean, standard error and degrees of freedom of one number a launch."""
    n = differences.size
    return float(differences.mean()), float(differences.std(ddof=1) / np.sqrt(n)), float(n - 1)


def _welch(left: FloatArray, right: FloatArray) -> tuple[float, float, float]:
    """Return a difference of means, its standard error, and Welch–Satterthwaite degrees of freedom."""
    centre = float(left.mean() - right.mean())
    if min(left.size, right.size) < 2:
        return centre, 0.0, float("inf")
    parts = [float(side.var(ddof=1)) / side.size for side in (left, right)]
    variance = sum(parts)
    if variance == 0:
        return centre, 0.0, float("inf")
    df = variance**2 / sum(part**2 / (side.size - 1) for part, side in zip(parts, (left, right), strict=True))
    return centre, float(np.sqrt(variance)), df
