"""Differences of mean scores: paired (the rule here) and unpaired (to show what pairing buys)."""

from __future__ import annotations

import math

import numpy as np
import scipy
from numpy.typing import ArrayLike

from distbench.stats.clusters import Moments, mean_covariance
from distbench.stats.estimate import Estimate, Status
from distbench.stats.fieller import t_quantile
from distbench.stats.samples import Labels, check_alpha, paired, vector


def mean_estimate(values: ArrayLike, *, clusters: Labels | None = None, alpha: float = 0.05) -> Estimate:
    """Return the mean of `values` with its t(n − 1) interval or, clustered, the robust t(G − 1) one (Miller 2024)."""
    return linear_estimate(mean_covariance(values, clusters=clusters), (1.0,), alpha=alpha)


def linear_estimate(moments: Moments, weights: ArrayLike, *, alpha: float = 0.05) -> Estimate:
    """Return a linear combination of the means in `moments` with its t interval; no interval for a single unit."""
    check_alpha(alpha)
    w = np.asarray(weights, dtype=np.float64)
    method = "paired_t" if moments.n_clusters is None else "cluster_t"
    if moments.df < 1:
        reason = "an interval needs at least two samples, or two clusters"
        value = float(w @ moments.mean)
        return Estimate(value, None, None, moments.n, method, Status.NO_INTERVAL, reason, n_clusters=moments.n_clusters)
    value, variance = moments.contrast(w)
    se = math.sqrt(variance)
    half = t_quantile(moments.df, alpha) * se
    return Estimate(
        value, value - half, value + half, moments.n, method, se=se, df=moments.df, n_clusters=moments.n_clusters
    )


def delta(
    student: ArrayLike,
    teacher: ArrayLike,
    *,
    higher_is_better: bool = True,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> Estimate:
    """Return the paired difference of mean scores, oriented so that + means the student is better.

    In the unit of the scores; interval t(n − 1), or cluster-robust t(G − 1). To gate "at most x worse", decide it at
    the margin −x. Raises `ValueError` for empty, unequal or non-finite input.
    """
    s, t = paired(student=student, teacher=teacher)
    return mean_estimate(s - t if higher_is_better else t - s, clusters=clusters, alpha=alpha)


def unpaired_difference(student: ArrayLike, teacher: ArrayLike, *, alpha: float = 0.05) -> Estimate:
    """Return mean(student) − mean(teacher) as if of unrelated samples (Welch 1947).

    Its variance is the paired one plus 2 cov/n: use it to show the gain of pairing, or when samples differ.
    """
    s, t = vector("student", student), vector("teacher", teacher)
    value, n = float(s.mean() - t.mean()), min(s.size, t.size)
    if n < 2:
        return Estimate(
            value, None, None, n, "welch", Status.NO_INTERVAL, "an interval needs at least two samples each"
        )
    se = math.hypot(float(scipy.stats.sem(s)), float(scipy.stats.sem(t)))
    if se == 0:
        return Estimate(value, value, value, n, "welch", se=0.0)
    result = scipy.stats.ttest_ind(s, t, equal_var=False)
    limits = result.confidence_interval(confidence_level=1 - alpha)
    return Estimate(value, float(limits.low), float(limits.high), n, "welch", se=se, df=float(result.df))
