"""A retention margin tested, and R bounded, at every look at growing samples."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass, replace

import numpy as np
import scipy

from distbench.stats.betting import BETTING, Ledger, log_wealth
from distbench.stats.estimate import Estimate, Status
from distbench.stats.samples import BoolArray, FloatArray

# A finite stand-in for infinite wealth keeps the root search on plain numbers.
_LARGE = 1e9
# How often the distance from the estimate is doubled before the interval is called unbounded.
_DOUBLINGS = 80


@dataclass(frozen=True, eq=False)
class Trail:
    """The test of R = `margin` along the looks of a `ledger`; each side holds at one-sided `level` whenever one stops.

    A look counts once the teacher has been shown, at the same level, to be above the baseline; where the units of the
    ledger are clusters, `samples` is that of its samples one by one, and both must show it (see `Moments`). The
    p-values are the inverse of the largest wealth so far: they never rise again. Axes of the counts before that of the
    looks, as of many simulated ledgers, carry over to the p-values.
    """

    ledger: Ledger
    margin: float
    level: float
    samples: Ledger | None = None

    @functools.cached_property
    def signal(self) -> BoolArray:
        """By look, whether the teacher has been shown to be above the baseline (and still looks it)."""
        shown = self._shown(self.ledger)
        return shown if self.samples is None else shown & self._shown(self.samples)

    def _shown(self, ledger: Ledger) -> BoolArray:
        wealth = log_wealth(ledger, (0.0, 1.0), level=self.level)
        shown = np.maximum.accumulate(wealth, axis=-1) >= -math.log(self.level)
        return np.asarray(shown & (ledger.excess()[1] > 0))

    @functools.cached_property
    def p_above(self) -> FloatArray:
        """By look, the p-value of H: R ≤ margin; small where the student retains more."""
        return self._p_values((1.0, -self.margin))

    @functools.cached_property
    def p_below(self) -> FloatArray:
        """By look, the p-value of H: R ≥ margin; small where the student retains less."""
        return self._p_values((-1.0, self.margin))

    @property
    def value(self) -> float | None:
        """R at the last look; None without a signal."""
        if not self.signal[-1]:
            return None
        x, y = self.ledger.excess()
        return float(x[-1] / y[-1])

    def rough_limits(self) -> tuple[float, float]:
        """Return an interval of R that knows only on which side of the margin R lies: all that a verdict needs."""
        lo = self.margin if self.p_above[-1] <= self.level else -math.inf
        hi = math.nextafter(self.margin, -math.inf) if self.p_below[-1] <= self.level else math.inf
        return lo, hi

    def limits(self) -> tuple[float, float]:
        """Return the interval of R: all margins that no look rejects. It lies within `rough_limits`.

        Raises `ValueError` without a signal.
        """
        if not self.signal[-1]:
            raise ValueError("without a signal of the teacher no margin can be rejected")
        seen = replace(self.ledger, counts=self.ledger.counts[self.signal])
        x, y = seen.excess()
        # log(1 + λz) ≤ λz: no look rejects, from either side, a margin beyond its own estimate.
        ratios = x / y
        lo = _limit(seen, start=float(ratios.max()), side=1.0, level=self.level)
        hi = _limit(seen, start=float(ratios.min()), side=-1.0, level=self.level)
        # The search is exact to 1e-12; at the margin itself the test is exact, and it is what decides.
        below = math.nextafter(self.margin, -math.inf)
        passed, failed = self.p_above[-1] <= self.level, self.p_below[-1] <= self.level
        return (
            max(lo, self.margin) if passed else min(lo, below),
            min(hi, below) if failed else max(hi, self.margin),
        )

    def _p_values(self, contrast: tuple[float, float]) -> FloatArray:
        wealth = np.where(self.signal, log_wealth(self.ledger, contrast, level=self.level), -math.inf)
        return np.asarray(np.exp(-np.maximum.accumulate(np.maximum(wealth, 0.0), axis=-1)))


def anytime_estimate(trail: Trail, *, n: int, n_clusters: int | None = None, precise: bool = True) -> Estimate:
    """Return R after the last look with its interval at two-sided 2·level: NO_SIGNAL, or OK with method `betting`.

    With `precise` False the interval is that of `rough_limits`, for a verdict that nobody will read.
    """
    value = trail.value
    if value is None:
        why = "the teacher has not been shown to be above the baseline"
        return Estimate(None, None, None, n, BETTING, Status.NO_SIGNAL, why, n_clusters=n_clusters)
    lo, hi = trail.limits() if precise else trail.rough_limits()
    if lo > hi:
        why = "the looks contradict each other; are the samples in random order?"
        return Estimate(value, None, None, n, BETTING, Status.NO_INTERVAL, why, n_clusters=n_clusters)
    return Estimate(value, lo, hi, n, BETTING, n_clusters=n_clusters)


def _limit(seen: Ledger, *, start: float, side: float, level: float) -> float:
    """Walk from `start`, which no look rejects, to where one does; `side` 1 gives the lower limit, −1 the upper."""

    def beyond(margin: float) -> float:
        wealth = float(log_wealth(seen, (side, -side * margin), level=level).max())
        return min(wealth, _LARGE) + math.log(level)

    step, inner = 1e-3, start
    for _ in range(_DOUBLINGS):
        outer = start - side * step
        if beyond(outer) >= 0:
            a, b = sorted((inner, outer))
            return float(scipy.optimize.brentq(beyond, a, b, xtol=1e-12, rtol=1e-13))
        inner, step = outer, step * 2
    return -side * math.inf
