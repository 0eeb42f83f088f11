"""Selective prediction: how good are the answers that a model is most sure of?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distbench.stats.samples import FloatArray, is_binary, paired, shared_by_ties


def risk_at_coverage(confidence: ArrayLike, correct: ArrayLike) -> FloatArray:
    """Return the error rate of the k most confident samples, for k = 1 … n (Geifman & El-Yaniv 2017).

    Equal confidences share their mean error: the average over every order in which ties could be broken. Raises
    `ValueError` unless `correct` is 0 or 1.
    """
    c, right = paired(confidence=confidence, correct=correct)
    if not is_binary(right):
        raise ValueError("correct must be 0 or 1")
    _, errors = shared_by_ties(-c, 1 - right)
    return np.cumsum(errors) / np.arange(1, c.size + 1)


@dataclass(frozen=True)
class SelectiveSummary:
    """Area under the risk–coverage curve, and the accuracy at each coverage that was asked for."""

    aurc: float
    accuracy: tuple[float, ...]


def selective_summary(confidence: ArrayLike, correct: ArrayLike, *, coverages: Sequence[float]) -> SelectiveSummary:
    """Return `aurc` and `accuracy_at_coverage` from one curve: at a million samples it is the sorting that costs."""
    risk = risk_at_coverage(confidence, correct)
    return SelectiveSummary(float(risk.mean()), tuple(_accuracy(risk, coverage) for coverage in coverages))


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Return the area under the risk–coverage curve: the mean risk over all n coverages; 0 is best."""
    return float(risk_at_coverage(confidence, correct).mean())


def accuracy_at_coverage(confidence: ArrayLike, correct: ArrayLike, *, coverage: float) -> float:
    """Return the accuracy on the most confident share `coverage` in (0, 1], at least one sample, rounded up."""
    return _accuracy(risk_at_coverage(confidence, correct), coverage)


def _accuracy(risk: FloatArray, coverage: float) -> float:
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage is {coverage}; it must lie in (0, 1]")
    # 1e-9: 0.07 × 100 is 7.000000000000001 in floating point and must not round up to 8.
    kept = max(1, math.ceil(coverage * risk.size - 1e-9))
    return float(1 - risk[kept - 1])


def confidence_auroc(confidence: ArrayLike, correct: ArrayLike) -> float | None:
    """Return P(a right answer is more confident than a wrong one), ties ½; None where all are right or all wrong."""
    from sklearn.metrics import roc_auc_score

    c, right = paired(confidence=confidence, correct=correct)
    if not is_binary(right):
        raise ValueError("correct must be 0 or 1")
    return float(roc_auc_score(right, c)) if 0 < right.sum() < right.size else None
