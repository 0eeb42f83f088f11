"""Tests of paired scores: a retention margin, equal correctness, equivalence."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import scipy
from numpy.typing import ArrayLike

from distbench.stats.cells import Cells
from distbench.stats.clusters import mean_covariance
from distbench.stats.samples import Labels, check_alpha, is_binary, paired
from distbench.stats.score import score_statistic

McNemarMethod = Literal["exact", "mid-p", "chi2", "chi2_cc"]


@dataclass(frozen=True)
class MarginTest:
    """Test of R = margin. `p_above` is against H: R ≤ margin, `p_below` against H: R ≥ margin (both one-sided).

    `statistic` is z (`df` None) or t, positive where the student retains more than the margin.
    """

    statistic: float
    p_above: float
    p_below: float
    df: float | None = None


@dataclass(frozen=True)
class McNemarTest:
    """Test that teacher and student are right equally often; `statistic` is χ² with one degree of freedom, or None."""

    statistic: float | None
    p_value: float


@dataclass(frozen=True)
class EquivalenceTest:
    """Two one-sided t tests; `p_value` is the larger of the two."""

    p_value: float
    t_lower: float
    t_upper: float
    df: float
    equivalent: bool


def noninferiority(cells: Cells, *, margin: float, baseline: float = 0.0) -> MarginTest:
    """Test a retention `margin` for independent 0/1 scores with the constrained score statistic (normal)."""
    z = score_statistic(cells, margin=margin, baseline=baseline)
    return MarginTest(z, float(scipy.stats.norm.sf(z)), float(scipy.stats.norm.cdf(z)))


def margin_test(
    student: ArrayLike,
    teacher: ArrayLike,
    *,
    margin: float,
    baseline: float = 0.0,
    higher_is_better: bool = True,
    clusters: Labels | None = None,
) -> MarginTest | None:
    """Test a retention `margin` with the statistic that the interval of `retained` inverts.

    Binary scores without clusters use the score test, others `contrast_test`. None where the contrast shows no spread,
    as for a single sample.
    """
    s, t = paired(student=student, teacher=teacher)
    if clusters is None and is_binary(s, t):
        cells = Cells.from_scores(s, t)
        if higher_is_better:
            return noninferiority(cells, margin=margin, baseline=baseline)
        return noninferiority(cells.complement(), margin=margin, baseline=1 - baseline)
    return contrast_test(s, t, margin=margin, baseline=baseline, higher_is_better=higher_is_better, clusters=clusters)


def contrast_test(
    student: ArrayLike,
    teacher: ArrayLike,
    *,
    margin: float,
    baseline: float = 0.0,
    higher_is_better: bool = True,
    clusters: Labels | None = None,
) -> MarginTest | None:
    """Test a retention `margin` by the t test of the contrast (s − b) − m (t − b), for scores of any kind.

    It needs no division (Pigeot et al. 2003) and inverts to Fieller's interval. None where the contrast has no spread.
    """
    s, t = paired(student=student, teacher=teacher)
    sign = 1.0 if higher_is_better else -1.0
    moments = mean_covariance(sign * ((s - baseline) - margin * (t - baseline)), clusters=clusters)
    if moments.df < 1:
        return None
    mean, variance = moments.contrast((1.0,))
    if variance <= 1e-28 * mean**2:
        return None
    statistic = mean / math.sqrt(variance)
    return MarginTest(
        statistic,
        float(scipy.stats.t.sf(statistic, moments.df)),
        float(scipy.stats.t.cdf(statistic, moments.df)),
        moments.df,
    )


def mcnemar(cells: Cells, *, method: McNemarMethod = "exact") -> McNemarTest:
    """Test equal correctness from the discordant pairs (McNemar 1947), two-sided.

    `exact` is binomial, `mid-p` takes half the probability of the observed split (Fagerland et al. 2013), `chi2` the
    large-sample form, `chi2_cc` with Edwards' continuity correction. No discordant pair: p = 1.
    """
    b, c = cells.n10, cells.n01
    if method in ("chi2", "chi2_cc"):
        excess = max(0.0, abs(b - c) - (1.0 if method == "chi2_cc" else 0.0))
        statistic = excess**2 / (b + c) if b + c > 0 else 0.0
        return McNemarTest(statistic, float(scipy.stats.chi2.sf(statistic, 1)))
    if method not in ("exact", "mid-p"):
        raise ValueError(f"unknown method {method!r} of McNemar's test; known: exact, mid-p, chi2, chi2_cc")
    if b + c == 0:
        return McNemarTest(None, 1.0)
    k, n = int(min(b, c)), int(b + c)
    if (k, n) != (min(b, c), b + c):
        raise ValueError(f"the {method} test needs whole counts, not {b} and {c}")
    p = float(scipy.stats.binomtest(k, n, 0.5).pvalue)
    half = float(scipy.stats.binom.pmf(k, n, 0.5)) if method == "mid-p" else 0.0
    return McNemarTest(None, max(0.0, p - half))  # the two round differently where p underflows


def tost(
    x: ArrayLike, y: ArrayLike, *, low: float, high: float, clusters: Labels | None = None, alpha: float = 0.05
) -> EquivalenceTest:
    """Test whether mean(x − y) lies between `low` and `high`: two one-sided t tests at `alpha` (Schuirmann 1987).

    Where all differences are equal there is no spread: the statistics are infinite with the sign of the distance.
    Raises `ValueError` unless low < high, and for fewer than two samples or clusters.
    """
    first, second = paired(x=x, y=y)
    check_alpha(alpha)
    if not low < high:
        raise ValueError(f"the equivalence range must run from low to high, not from {low} to {high}")
    moments = mean_covariance(first - second, clusters=clusters)
    if moments.df < 1:
        raise ValueError("an equivalence test needs at least two samples, or two clusters")
    mean, variance = moments.contrast((1.0,))
    lower, upper = (_t_value(mean - limit, variance) for limit in (low, high))
    p = max(float(scipy.stats.t.sf(lower, moments.df)), float(scipy.stats.t.cdf(upper, moments.df)))
    return EquivalenceTest(p, lower, upper, moments.df, p <= alpha)


def _t_value(distance: float, variance: float) -> float:
    if variance > 0:
        return distance / math.sqrt(variance)
    return math.copysign(math.inf, distance) if distance else 0.0
