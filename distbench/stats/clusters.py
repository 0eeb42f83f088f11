"""Means of paired columns and the covariance of those means, samples independent or in clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from distbench.stats.samples import FloatArray, Labels, codes, paired


@dataclass(frozen=True)
class Moments:
    """Means of k columns, and the k × k covariance *of the means* (squared units of the columns).

    `df` = number of independent units − 1 (Satterthwaite for combinations). With a single unit there is no covariance:
    it is all NaN and `df` is 0. `n_clusters` is None where every sample is its own unit.

    `independent` is the covariance that the samples of a clustered task would have were each its own unit, and a
    contrast takes the larger of the two variances (the rule of thumb of Angrist & Pischke 2009, §8.1). Items that are
    balanced within a template make the clustered one collapse: a model that always takes the first option has exactly
    the chance score in every template, so the least luck on top of it would look significant. That is a property of
    how the items were made, and no more evidence on the model than as many independent items hold. None: no clusters.
    """

    mean: FloatArray
    covariance: FloatArray
    df: float
    n: int
    n_clusters: int | None = None
    independent: FloatArray | None = None

    @property
    def covariances(self) -> tuple[FloatArray, ...]:
        """The covariances of which every contrast takes the larger variance."""
        return (self.covariance,) if self.independent is None else (self.covariance, self.independent)

    def dominating(self) -> FloatArray:
        """Return one covariance under which no contrast has less than the larger of its variances.

        The clustered one plus what the independent one has beyond it in any direction; the columns share their unit.
        """
        if self.independent is None:
            return self.covariance
        values, vectors = np.linalg.eigh(self.independent - self.covariance)
        beyond: FloatArray = (vectors * np.maximum(values, 0.0)) @ vectors.T
        return self.covariance + beyond

    def contrast(self, weights: ArrayLike) -> tuple[float, float]:
        """Return the mean and the variance of the linear combination of the columns with `weights`."""
        w = np.asarray(weights, dtype=np.float64)
        return float(w @ self.mean), max(0.0, *(float(w @ each @ w) for each in self.covariances))

    def centred(self, baseline: float, *, higher_is_better: bool = True) -> Moments:
        """Return the moments of the columns less `baseline`, negated for a lower-is-better metric."""
        sign = 1.0 if higher_is_better else -1.0
        return replace(self, mean=sign * (self.mean - baseline))


def mean_covariance(*columns: ArrayLike, clusters: Labels | None = None) -> Moments:
    """Return the means of paired `columns` with the covariance of the means.

    Residuals are summed within a cluster; V = G/(G − 1)/n² · Σ_g u_g u_gᵀ (Liang & Zeger 1986 with the usual
    small-sample factor; Miller 2024 without it). Samples without `clusters` are clusters of one, for which V is the
    textbook s²/n; that one is kept beside the clustered one (`Moments.independent`).

    Raises `ValueError` for empty, unequal or non-finite columns and for a missing cluster label.
    """
    data = np.column_stack(paired(**{f"column {i}": column for i, column in enumerate(columns)}))
    n, k = data.shape
    mean = data.mean(axis=0)
    residuals = sums = data - mean
    if clusters is not None:
        unit, labels = codes("clusters", clusters, n)
        sums = np.column_stack([np.bincount(unit, weights=residuals[:, j], minlength=len(labels)) for j in range(k)])
    units = sums.shape[0]
    n_clusters = None if clusters is None else units
    if units < 2:
        return Moments(mean, np.full((k, k), np.nan), 0.0, n, n_clusters)
    covariance = sums.T @ sums * (units / (units - 1) / n**2)
    independent = None if clusters is None else residuals.T @ residuals / ((n - 1) * n)
    return Moments(mean, covariance, units - 1.0, n, n_clusters, independent)
