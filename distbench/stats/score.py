"""Constrained-maximum-likelihood score test of a retention margin for paired 0/1 scores.

For a margin m and a baseline b the contrast of a sample is z = (s − b) − m (t − b): its mean is zero exactly when
R = (s̄ − b)/(t̄ − b) = m. The variance of the mean is taken under that hypothesis, from the multinomial maximum
likelihood constrained to Σ p z = 0 (Nam & Blackwelder 2002 for b = 0). Unlike an interval around the estimate it does
not collapse when few pairs disagree, and it never divides by t̄ − b.
"""

from __future__ import annotations

import math

import scipy

from distbench.stats.cells import Cells
from distbench.stats.intervals import Interval
from distbench.stats.samples import check_alpha

_Four = tuple[float, float, float, float]

# Beyond any quantile in use; a finite stand-in for ±inf keeps the root search on plain numbers.
_LARGE = 1e6
# A contrast this much smaller than the largest has no sign that arithmetic could use.
_NO_SIGN = 1e-100
# How often the distance from the estimate is doubled before the interval is called unbounded.
_DOUBLINGS = 80


def score_contrasts(margin: float, baseline: float = 0.0) -> _Four:
    """Return z = (s − b) − m (t − b) of the cells n11, n10, n01, n00."""
    m, b = margin, baseline
    return (1 - m) * (1 - b), -b - m * (1 - b), (1 - b) + m * b, -(1 - m) * b


def constrained_probabilities(cells: Cells, *, margin: float, baseline: float = 0.0) -> _Four | None:
    """Return the most likely cell probabilities (n11, n10, n01, n00) among those with R = `margin`.

    p_k = n_k/(n + λ z_k), with the one λ that makes Σ p z = 0. None where the contrasts do not take both signs: then
    the hypothesis, if it can hold at all, leaves no variance.
    """
    z, counts, n = score_contrasts(margin, baseline), cells.counts, cells.n
    largest = max(map(abs, z))
    if min(max(z), -min(z)) <= _NO_SIGN * largest:
        return None
    # No p_k may exceed 1, so n + λ z_k ≥ n_k for every cell: a bracket that stays clear of the poles of the seen cells.
    last, low = min(((counts[k] - n) / z[k], k) for k in range(4) if z[k] < 0)
    first, high = max(((counts[k] - n) / z[k], k) for k in range(4) if z[k] > 0)
    seen = [(count, x) for count, x in zip(counts, z, strict=True) if count > 0]

    def slope(multiplier: float) -> float:  # strictly decreasing
        return sum(count * x / (n + multiplier * x) for count, x in seen)

    border: int | None = None
    if slope(last) >= 0:
        root, border = last, low
    elif slope(first) <= 0:
        root, border = first, high
    else:
        # The tolerance is that of n + λ z, not of the bracket, which grows without bound as one z nears 0.
        root = float(scipy.optimize.brentq(slope, first, last, xtol=1e-15 * n / largest, rtol=1e-14, maxiter=2000))
    p = [count / (n + root * x) if count > 0 else 0.0 for count, x in zip(counts, z, strict=True)]
    if border is not None and counts[border] == 0:
        # The maximum lies on the border: an extreme cell that was never seen takes the mass that the seen cells leave.
        p[border] = max(0.0, 1.0 - sum(p))
    return p[0], p[1], p[2], p[3]


def score_statistic(cells: Cells, *, margin: float, baseline: float = 0.0) -> float:
    """Return Z of H: R = `margin`, standard normal under H; positive where the student retains more than `margin`.

    Infinite where the data rule `margin` out altogether (at b = 0, no negative margin is possible, and margin 0 only
    with a student that is never right).
    """
    if not (math.isfinite(margin) and math.isfinite(baseline)):
        raise ValueError(f"margin {margin} and baseline {baseline} must be finite")
    contrasts = score_contrasts(margin, baseline)
    largest = max(map(abs, contrasts))
    if largest == 0.0:
        return 0.0
    z = [x / largest for x in contrasts]  # Z knows no scale; squares of a huge margin would overflow
    mean = math.fsum(count * x for count, x in zip(cells.counts, z, strict=True)) / cells.n
    p = constrained_probabilities(cells, margin=margin, baseline=baseline)
    variance = 0.0 if p is None else math.fsum(share * x * x for share, x in zip(p, z, strict=True))
    # Rounding leaves a mean of about 1e-17 where it is zero by the counts; that is no evidence of anything.
    if abs(mean) <= 1e-14:
        return 0.0
    if variance <= 0.0:
        return math.copysign(math.inf, mean)
    return mean / math.sqrt(variance / cells.n)


def has_signal(cells: Cells, *, baseline: float = 0.0, alpha: float = 0.05) -> bool:
    """Tell whether the teacher is significantly above the baseline (one-sided, at `alpha`/2).

    This is the limit of the score test for an infinite margin, so it holds exactly where the score interval is bounded.
    """
    check_alpha(alpha)
    excess = cells.teacher_rate - baseline
    if baseline <= 0.0 or excess <= 0.0:
        return excess > 0.0
    if baseline >= 1.0:
        return False
    return excess / math.sqrt(baseline * (1 - baseline) / cells.n) > float(scipy.stats.norm.isf(alpha / 2))


def score_interval(cells: Cells, *, baseline: float = 0.0, alpha: float = 0.05) -> Interval:
    """Return {m : |Z(m)| ≤ z_{1−α/2}}, the interval of R that decides exactly as `score_statistic` does.

    It is (−inf, inf) where the teacher is not significantly above the baseline.
    """
    if not has_signal(cells, baseline=baseline, alpha=alpha):
        return Interval(-math.inf, math.inf)
    critical = float(scipy.stats.norm.isf(alpha / 2))
    ratio = (cells.student_rate - baseline) / (cells.teacher_rate - baseline)
    return Interval(
        _limit(cells, baseline, start=ratio, critical=critical),
        _limit(cells, baseline, start=ratio, critical=-critical),
    )


def _limit(cells: Cells, baseline: float, *, start: float, critical: float) -> float:
    """Walk from the estimate `start`, where Z = 0, to where Z crosses `critical` (> 0: the lower limit)."""

    def beyond(margin: float) -> float:
        z = score_statistic(cells, margin=margin, baseline=baseline)
        return math.copysign(1.0, critical) * min(max(z, -_LARGE), _LARGE) - abs(critical)

    direction, step, inner = -math.copysign(1.0, critical), 1e-3, start
    for _ in range(_DOUBLINGS):
        outer = start + direction * step
        if beyond(outer) > 0:
            a, b = sorted((inner, outer))
            return float(scipy.optimize.brentq(beyond, a, b, xtol=1e-12, rtol=1e-13))
        inner, step = outer, step * 2
    return direction * math.inf
