"""Intervals, and the interval of a single proportion."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import scipy

from distbench.stats.samples import check_alpha

ProportionMethod = Literal["wilson", "clopper-pearson", "jeffreys", "agresti-coull", "normal"]


@dataclass(frozen=True)
class Interval:
    """A closed interval from `lo` to `hi`; either end may be infinite. Raises `ValueError` when NaN or reversed."""

    lo: float
    hi: float

    def __post_init__(self) -> None:
        if not self.lo <= self.hi:
            raise ValueError(f"an interval runs from its lower to its upper end, not from {self.lo} to {self.hi}")

    def contains(self, value: float) -> bool:
        """Tell whether `value` lies inside; both ends belong to the interval."""
        return self.lo <= value <= self.hi

    @property
    def bounded(self) -> bool:
        """Whether both ends are finite."""
        return math.isfinite(self.lo) and math.isfinite(self.hi)


def wilson(k: float, n: float, alpha: float = 0.05) -> Interval:
    """Return the score interval of a proportion (Wilson 1927) for `k` successes in `n` trials.

    It neither collapses at 0 or `n` successes nor leaves [0, 1].
    """
    return proportion_interval(k, n, alpha=alpha)


def clopper_pearson(k: float, n: float, alpha: float = 0.05) -> Interval:
    """Return the exact interval of a proportion (Clopper & Pearson 1934): coverage never below 1 − `alpha`."""
    return proportion_interval(k, n, alpha=alpha, method="clopper-pearson")


def proportion_interval(k: float, n: float, *, alpha: float = 0.05, method: ProportionMethod = "wilson") -> Interval:
    """Return the two-sided 1 − `alpha` interval of a proportion from `k` successes in `n` trials, inside [0, 1].

    Raises `ValueError` for no trial, for `k` outside 0 … `n` and for an unknown method.
    """
    check_alpha(alpha)
    if not (n > 0 and 0 <= k <= n):
        raise ValueError(f"{k} successes in {n} trials: needs at least one trial and 0 ≤ k ≤ n")
    if method not in _LIMITS:
        raise ValueError(f"unknown method {method!r} for the interval of a proportion; known: {', '.join(_LIMITS)}")
    lo, hi = _LIMITS[method](k, n, alpha)
    return Interval(0.0 if k == 0 else max(0.0, lo), 1.0 if k == n else min(1.0, hi))


def _wilson(k: float, n: float, alpha: float) -> tuple[float, float]:
    # Written out rather than taken from scipy's binomtest, which refuses the non-integer counts of a design effect.
    z = float(scipy.stats.norm.isf(alpha / 2))
    centre = (k + z * z / 2) / (n + z * z)
    half = z / (n + z * z) * math.sqrt(k * (n - k) / n + z * z / 4)
    return centre - half, centre + half


def _clopper_pearson(k: float, n: float, alpha: float) -> tuple[float, float]:
    lo = float(scipy.stats.beta.ppf(alpha / 2, k, n - k + 1)) if k > 0 else 0.0
    return lo, float(scipy.stats.beta.isf(alpha / 2, k + 1, n - k)) if k < n else 1.0


def _jeffreys(k: float, n: float, alpha: float) -> tuple[float, float]:
    posterior = scipy.stats.beta(k + 0.5, n - k + 0.5)
    return float(posterior.ppf(alpha / 2)), float(posterior.isf(alpha / 2))


def _agresti_coull(k: float, n: float, alpha: float) -> tuple[float, float]:
    z = float(scipy.stats.norm.isf(alpha / 2))
    return _normal(k + z * z / 2, n + z * z, alpha)


def _normal(k: float, n: float, alpha: float) -> tuple[float, float]:
    half = float(scipy.stats.norm.isf(alpha / 2)) * math.sqrt(k * (n - k) / n) / n
    return k / n - half, k / n + half


_LIMITS: dict[str, Callable[[float, float, float], tuple[float, float]]] = {
    "wilson": _wilson,
    "clopper-pearson": _clopper_pearson,
    "jeffreys": _jeffreys,
    "agresti-coull": _agresti_coull,
    "normal": _normal,
}
