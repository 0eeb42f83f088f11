"""The difference of two rates on the same samples: constrained-maximum-likelihood score interval (Tango 1998).

Tango, "Equivalence test and confidence interval for the difference in proportions for the paired-sample design",
Statistics in Medicine 17. At a difference of 0 the statistic is McNemar's; unlike an interval around the estimate it
does not collapse when no pair, or one, disagrees.
"""

from __future__ import annotations

import math

import scipy

from distbench.stats.cells import Cells
from distbench.stats.intervals import Interval
from distbench.stats.samples import check_alpha

_LARGE = 1e6  # stands for an infinite statistic in the root search


def rate_difference_statistic(cells: Cells, difference: float) -> float:
    """Return Z of H: student's rate − teacher's rate = `difference`, standard normal under H.

    Positive where the student's rate is higher than H says. Raises `ValueError` unless −1 ≤ `difference` ≤ 1.
    """
    if not -1.0 <= difference <= 1.0:
        raise ValueError(f"a difference of rates lies in [-1, 1], not at {difference}")
    n, won, lost = cells.n, cells.n01, cells.n10
    excess = won - lost - n * difference
    # The likelihood under H in q = P(teacher right, student wrong): 2n q² + B q + C = 0 at its maximum.
    b = -won - lost + (2 * n - won + lost) * difference
    c = -lost * difference * (1 - difference)
    q = (math.sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
    variance = n * (2 * q + difference * (1 - difference))
    if abs(excess) <= 1e-12 * n:
        return 0.0
    if variance <= 0.0:
        return math.copysign(math.inf, excess)
    return excess / math.sqrt(variance)


def rate_difference_interval(cells: Cells, *, alpha: float = 0.05) -> Interval:
    """Return {d : |Z(d)| ≤ z_{1−α/2}} of student's rate − teacher's rate, inside [−1, 1]."""
    check_alpha(alpha)
    critical = float(scipy.stats.norm.isf(alpha / 2))
    value = cells.student_rate - cells.teacher_rate
    return Interval(_limit(cells, value, -1.0, critical), _limit(cells, value, 1.0, critical))


def _limit(cells: Cells, value: float, end: float, critical: float) -> float:
    def beyond(difference: float) -> float:
        return min(abs(rate_difference_statistic(cells, difference)), _LARGE) - critical

    if beyond(end) <= 0:
        return end
    low, high = sorted((value, end))
    return float(scipy.optimize.brentq(beyond, low, high, xtol=1e-12, rtol=1e-13))
