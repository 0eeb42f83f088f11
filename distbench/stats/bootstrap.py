"""Bootstrap: for corpus metrics (F1, MCC, BLEU), which have no per-sample score, and to compare methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import ArrayLike

from distbench.stats.clusters import Moments
from distbench.stats.estimate import Estimate, Status
from distbench.stats.samples import FloatArray, IntArray, Labels, check_alpha, codes, paired

BootstrapMethod = Literal["percentile", "basic", "BCa"]
CorpusStatistic = Callable[[IntArray], tuple[float, float]]

# Values held at once while resampling (8 bytes each): bounds memory at any number of samples.
_BATCH_VALUES = 2_000_000
# A corpus metric that is undefined on more resamples than this says nothing reliable about its spread.
_MAX_UNDEFINED = 0.01


def retained_bootstrap(
    student: ArrayLike,
    teacher: ArrayLike,
    *,
    baseline: float = 0.0,
    method: BootstrapMethod = "percentile",
    n_resamples: int = 9999,
    alpha: float = 0.05,
    seed: int = 0,
) -> Estimate:
    """Return (s̄ − b)/(t̄ − b) with a paired bootstrap interval, for comparison only.

    At the boundary of a margin it passes up to sixteen times too often (few discordant pairs), which is why no gate
    uses it. No interval where the resampled ratio is constant or undefined. Raises `ValueError` as `retained`.
    """
    s, t = paired(student=student, teacher=teacher)
    check_alpha(alpha)
    excess = float(t.mean()) - baseline
    label = f"bootstrap_{method}"
    if excess <= 0:
        reason = "the teacher is not above the baseline"
        return Estimate(None, None, None, s.size, label, Status.NO_SIGNAL, reason)
    value = (float(s.mean()) - baseline) / excess

    def ratio(x: FloatArray, y: FloatArray, axis: int = -1) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return (x.mean(axis=axis) - baseline) / (y.mean(axis=axis) - baseline)

    no_interval = Estimate(value, None, None, s.size, label, Status.NO_INTERVAL, "the resampled ratio has no spread")
    # scipy's BCa returns NaN, with a warning, on constant resamples: identical models.
    if s.size < 2 or (np.ptp(s - value * t) <= 1e-12 and np.ptp(s) == np.ptp(t)):
        return no_interval
    result = scipy.stats.bootstrap(
        (s, t),
        ratio,
        paired=True,
        vectorized=True,
        n_resamples=n_resamples,
        batch=max(1, _BATCH_VALUES // s.size),
        confidence_level=1 - alpha,
        method=method,
        rng=np.random.default_rng(seed),
    )
    limits = result.confidence_interval
    if not np.isfinite([limits.low, limits.high]).all():
        return no_interval
    return Estimate(value, float(limits.low), float(limits.high), s.size, label, se=float(result.standard_error))


def bootstrap_moments(
    statistic: CorpusStatistic,
    n: int,
    *,
    clusters: Labels | None = None,
    n_resamples: int = 1000,
    seed: int = 0,
) -> Moments:
    """Return the (student, teacher) values of a corpus metric and their bootstrap covariance.

    `statistic` maps sample numbers, drawn with replacement, to (student, teacher): both are computed on the *same*
    draw, so the covariance knows the pairing. Whole `clusters` are drawn where given. Hand the result to
    `ratio_of_means` (after subtracting the baseline: `centred`) or to a `SuiteTask`; the interval is then Fieller's,
    honest where the denominator is noisy. Resamples on which the metric is undefined (NaN) are dropped.

    Raises `ValueError` where it is undefined on the data, or on more than 1 % of the resamples.
    """
    everything = np.arange(n, dtype=np.intp)
    unit, labels = codes("clusters", everything if clusters is None else clusters, n)
    groups = len(labels)
    if n < 1 or n_resamples < 100:
        raise ValueError(f"a bootstrap needs samples and at least 100 resamples, not {n} and {n_resamples}")
    value = np.array(statistic(everything), dtype=np.float64)
    if value.shape != (2,) or not np.isfinite(value).all():
        raise ValueError(f"the corpus metric must be two finite numbers (student, teacher), not {value}")
    n_clusters = None if clusters is None else groups
    if groups < 2:
        return Moments(value, np.full((2, 2), np.nan), 0.0, n, n_clusters)
    members = np.split(np.argsort(unit, kind="stable"), np.cumsum(np.bincount(unit))[:-1])
    rng = np.random.default_rng(seed)
    draws = np.array(
        [
            statistic(np.concatenate([members[g] for g in rng.integers(groups, size=groups)]))
            for _ in range(n_resamples)
        ],
        dtype=np.float64,
    )
    valid = np.isfinite(draws).all(axis=1)
    if (~valid).mean() > _MAX_UNDEFINED:
        raise ValueError(f"the corpus metric is undefined on {(~valid).sum()} of {n_resamples} resamples")
    # The bootstrap variance lacks the factor G/(G − 1) that the closed form carries.
    covariance = np.cov(draws[valid], rowvar=False) * groups / (groups - 1)
    return Moments(value, covariance, groups - 1.0, n, n_clusters)
