"""Percentiles of raw times, shown only where the sample can bound them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, log

import numpy as np
import scipy

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Percentile:
    """An order statistic of the sample, in its units, and one that lies above the true percentile at 95 %.

    Both are None where the sample is too small: `needs` says how many values it takes.
    """

    percent: float
    value: float | None
    upper: float | None
    n: int
    needs: int


def values_needed(percent: float) -> int:
    """Return how many independent values bound a percentile at 95 %: the least n with 1 − p^n ≥ 0.95.

    p50 needs 5, p90 29, p95 59, p99 299.
    """
    if not 0 < percent < 100:
        raise ValueError(f"a percentile lies between 0 and 100, not {percent}")
    return ceil(log(1 - CONFIDENCE) / log(percent / 100))


def distribution(values: Sequence[float], steps: int = 100) -> list[float]:
    """Return the sorted values, or `steps` of them: the k-th is the smallest that k/steps of all do not exceed.

    With F(k-th value) = k/steps it is the empirical distribution, thinned and never interpolated.
    """
    ordered = sorted(values)
    if len(ordered) <= steps:
        return ordered
    return [ordered[ceil(k * len(ordered) / steps) - 1] for k in range(1, steps + 1)]


def percentile(values: Sequence[float], percent: float) -> Percentile:
    """Return the nearest-rank percentile and its distribution-free upper bound (a binomial order statistic).

    Never interpolated, never a maximum in disguise. Values are taken as independent.
    """
    n, needs = len(values), values_needed(percent)
    if n < needs:
        return Percentile(percent, None, None, n, needs)
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    p = percent / 100
    above = int(scipy.stats.binom.ppf(CONFIDENCE, n, p))  # P(at most `above` values lie below the percentile) ≥ 95 %
    return Percentile(percent, float(ordered[ceil(p * n) - 1]), float(ordered[min(above, n - 1)]), n, needs)
