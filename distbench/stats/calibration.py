"""Do the stated probabilities hold?

Probabilities are P(label = 1) of a binary task (a vector, labels 0/1), or one row of class probabilities a sample
(a table, labels = column numbers).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distbench.stats.samples import FloatArray, IntArray, paired, shared_by_ties

_SUM_TOLERANCE = 1e-3


def brier(probability: ArrayLike, label: ArrayLike) -> float:
    """Return the Brier score (1950), 0 is best: mean (p − y)² for a vector, mean Σ_k (p_k − y_k)² for a table.

    As in scikit-learn, a table of two classes is halved, so that it equals the vector form.
    """
    p, y = _checked(probability, label)
    if p.ndim == 1:
        return float(((p - y) ** 2).mean())
    onehot = np.eye(p.shape[1])[y]
    return float(((p - onehot) ** 2).sum(axis=1).mean() / (2 if p.shape[1] == 2 else 1))


def negative_log_likelihood(probability: ArrayLike, label: ArrayLike) -> float:
    """Return the mean −ln P(label), in nats. Infinite where a label had probability 0: never clipped."""
    return float(label_losses(probability, label).mean())


def label_losses(probability: ArrayLike, label: ArrayLike) -> FloatArray:
    """Return −ln P(label) of each sample, in nats (for paired tests)."""
    p, y = _checked(probability, label)
    likelihood = np.where(y == 1, p, 1 - p) if p.ndim == 1 else p[np.arange(y.size), y]
    with np.errstate(divide="ignore"):
        return np.asarray(-np.log(likelihood), dtype=np.float64)


def expected_calibration_error(probability: ArrayLike, label: ArrayLike, *, n_bins: int = 15) -> float:
    """Return ECE with equal-width bins (lo, hi] (Guo 2017): Σ share of bin · |mean outcome − mean confidence|.

    A vector is compared with its labels, a table by its largest probability and whether that class is right. For
    display only: it jumps with the number of bins.
    """
    confidence, outcome = _confidence(probability, label)
    gaps = np.bincount(_bins(confidence, n_bins), weights=outcome - confidence, minlength=n_bins)
    return float(np.abs(gaps).sum() / confidence.size)


@dataclass(frozen=True)
class ReliabilityBin:
    """Samples with a confidence in (lo, hi]: their mean confidence and mean outcome, None where there is no sample."""

    lo: float
    hi: float
    n: int
    confidence: float | None
    accuracy: float | None


def reliability(probability: ArrayLike, label: ArrayLike, *, n_bins: int = 15) -> list[ReliabilityBin]:
    """Return the bins behind `expected_calibration_error`: what a reliability diagram draws."""
    confidence, outcome = _confidence(probability, label)
    bins = _bins(confidence, n_bins)
    counts = np.bincount(bins, minlength=n_bins)
    sums = [np.bincount(bins, weights=values, minlength=n_bins) for values in (confidence, outcome)]
    found = []
    for k, n in enumerate(counts.tolist()):
        means = [float(each[k]) / n if n else None for each in sums]
        found.append(ReliabilityBin(k / n_bins, (k + 1) / n_bins, n, means[0], means[1]))
    return found


def _bins(confidence: FloatArray, n_bins: int) -> IntArray:
    """Return the number of each confidence's equal-width bin (lo, hi]; 0 belongs to the first."""
    _check_bins(n_bins)
    edges = np.arange(n_bins + 1) / n_bins
    return np.maximum(np.searchsorted(edges, confidence, side="left") - 1, 0)


def adaptive_calibration_error(probability: ArrayLike, label: ArrayLike, *, n_bins: int = 15) -> float:
    """Return the calibration error with bins of equal mass (Nguyen & O'Connor 2015), weighted by their size.

    Equal confidences share their mean outcome before they are split, so that the order of samples does not matter.
    """
    confidence, outcome = _confidence(probability, label)
    _check_bins(n_bins)
    order, shared = shared_by_ties(confidence, outcome)
    bins = np.array_split(shared - confidence[order], min(n_bins, confidence.size))
    return float(sum(abs(part.sum()) for part in bins) / confidence.size)


def _confidence(probability: ArrayLike, label: ArrayLike) -> tuple[FloatArray, FloatArray]:
    p, y = _checked(probability, label)
    if p.ndim == 1:
        return p, y.astype(np.float64)
    return p.max(axis=1), (p.argmax(axis=1) == y).astype(np.float64)


def _checked(probability: ArrayLike, label: ArrayLike) -> tuple[FloatArray, IntArray]:
    p = np.asarray(probability, dtype=np.float64)
    if p.ndim not in (1, 2) or p.size == 0:
        raise ValueError(f"probabilities must be a vector or a table of samples × classes, not of shape {p.shape}")
    (y,) = paired(label=label)
    if y.size != p.shape[0]:
        raise ValueError(f"{y.size} labels for {p.shape[0]} samples")
    if not ((p >= 0) & (p <= 1)).all():
        raise ValueError("probabilities must lie in [0, 1]")
    classes = 2 if p.ndim == 1 else p.shape[1]
    if not np.isin(y, np.arange(classes)).all():
        raise ValueError(f"labels must be whole numbers from 0 to {classes - 1}")
    if p.ndim == 2 and (np.abs(p.sum(axis=1) - 1) > _SUM_TOLERANCE).any():
        raise ValueError("the probabilities of each row must sum to 1")
    return p, y.astype(np.intp)


def _check_bins(n_bins: int) -> None:
    if n_bins < 1:
        raise ValueError(f"n_bins is {n_bins}; at least one bin is needed")
