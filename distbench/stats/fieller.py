"""Fieller's interval for a ratio of means (Fieller 1954), independent or clustered samples."""

from __future__ import annotations

import math

import scipy
from numpy.typing import ArrayLike

from distbench.stats.clusters import Moments, mean_covariance
from distbench.stats.estimate import Estimate, Status
from distbench.stats.intervals import Interval
from distbench.stats.samples import FloatArray, Labels, check_alpha

# Relative sizes below which a variance is rounding error, not information: against the variances that cancelled in it,
# and against the squared means.
_CANCELLED, _ROUNDED = 1e-13, 1e-28


def t_quantile(df: float, alpha: float) -> float:
    """Return the two-sided 1 − `alpha` quantile of Student's t with `df` degrees of freedom (infinite = normal)."""
    check_alpha(alpha)
    return float(scipy.stats.t.isf(alpha / 2, df)) if math.isfinite(df) else float(scipy.stats.norm.isf(alpha / 2))


def fieller(
    numerator: ArrayLike, denominator: ArrayLike, *, clusters: Labels | None = None, alpha: float = 0.05
) -> Interval:
    """Return the interval of mean(numerator)/mean(denominator) from values paired sample by sample.

    The quantile is t with n − 1, or with `clusters` G − 1, degrees of freedom. Raises `ValueError` for bad input and
    for fewer than two samples or clusters.
    """
    return fieller_interval(mean_covariance(numerator, denominator, clusters=clusters), alpha=alpha)


def fieller_interval(moments: Moments, *, alpha: float = 0.05) -> Interval:
    """Return {m : (N − m D)² ≤ t² Var(N − m D)} for `moments` of (numerator N, denominator D).

    With clusters Var is the larger of two (`Moments.contrast`), so the interval covers that of either.
    Where the denominator is not significantly different from zero the set is unbounded: a half-line, everything, or
    everything but a gap. The smallest interval that covers it is returned, (−inf, inf) in the last two cases.
    """
    if moments.df < 1:
        raise ValueError("Fieller's interval needs at least two samples, or two clusters")
    num, den = (float(x) for x in moments.mean)
    squared = t_quantile(moments.df, alpha) ** 2
    sets = [_solved(num, den, squared, covariance) for covariance in moments.covariances]
    return Interval(min(each.lo for each in sets), max(each.hi for each in sets))


def _solved(num: float, den: float, squared: float, covariance: FloatArray) -> Interval:
    (v_nn, v_nd), (_, v_dd) = covariance.tolist()
    # The set solves a m² − 2 b m + c ≤ 0.
    a, b, c = den**2 - squared * v_dd, num * den - squared * v_nd, num**2 - squared * v_nn
    if a < 0 or (a == 0 and b == 0):
        return Interval(-math.inf, math.inf)
    if a == 0:
        edge = c / (2 * b)
        return Interval(edge, math.inf) if b > 0 else Interval(-math.inf, edge)
    # N/D always solves it, so the discriminant is negative by rounding only.
    root = math.sqrt(max(0.0, b * b - a * c))
    return Interval((b - root) / a, (b + root) / a)


def delta_method(moments: Moments, *, alpha: float = 0.05) -> Estimate:
    """Return N/D with its first-order (Wald) standard error and a normal interval; for comparison, never for a gate.

    It is symmetric, always bounded, and too short where the denominator is noisy. Raises `ValueError` when D is 0.
    """
    num, den = (float(x) for x in moments.mean)
    if den == 0 or moments.df < 1:
        raise ValueError("the delta method needs a non-zero denominator and at least two samples, or two clusters")
    value = num / den
    se = math.sqrt(moments.contrast((1.0, -value))[1]) / abs(den)
    half = t_quantile(math.inf, alpha) * se
    return Estimate(value, value - half, value + half, moments.n, "delta_method", se=se, n_clusters=moments.n_clusters)


def ratio_of_means(
    moments: Moments,
    *,
    alpha: float = 0.05,
    empty: tuple[Status, str] = (Status.NO_SIGNAL, "the denominator is not significantly above 0"),
    method: str | None = None,
) -> Estimate:
    """Return the ratio N/D of `moments` with Fieller's interval.

    No value, and the status and reason in `empty`, where D is not significantly above 0 (one-sided, `alpha`/2): exactly
    where the interval would be unbounded. A value without interval for fewer than two units, or where N − (N/D) D is
    the same in every sample, so that no spread was observed at all.
    """
    check_alpha(alpha)
    n, groups = moments.n, moments.n_clusters
    label = method or ("fieller_t" if groups is None else "fieller_cluster")
    num, den = (float(x) for x in moments.mean)

    def without(value: float | None, status: Status, reason: str) -> Estimate:
        return Estimate(value, None, None, n, label, status, reason, n_clusters=groups)

    if den <= 0:
        return without(None, *empty)
    value = num / den
    if moments.df < 1:
        return without(value, Status.NO_INTERVAL, "an interval needs at least two samples, or two clusters")
    if den**2 <= t_quantile(moments.df, alpha) ** 2 * moments.contrast((0.0, 1.0))[1]:
        return without(None, *empty)
    variance = moments.contrast((1.0, -value))[1]
    terms = max(each[0, 0] + value**2 * each[1, 1] for each in moments.covariances)
    if variance <= max(_CANCELLED * terms, _ROUNDED * num**2):
        return without(
            value, Status.NO_INTERVAL, "every sample shows the same ratio: no spread to build an interval on"
        )
    limits = fieller_interval(moments, alpha=alpha)
    return Estimate(
        value, limits.lo, limits.hi, n, label, se=math.sqrt(variance) / den, df=moments.df, n_clusters=groups
    )
