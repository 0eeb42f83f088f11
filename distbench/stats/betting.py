"""Tests by betting: evidence about a mean that may be looked at as often as one likes.

A unit (a sample, or a cluster) shows z with a known lowest value. Under H: E z ≤ 0 a gambler who starts with 1 and puts
the share λ on every z holds Π(1 + λ z), which is not expected to grow for any λ that cannot be bankrupted; so at *no*
time does the wealth reach 1/α with more than probability α (Ville 1939). The wealth here is a mixture over a fixed grid
of λ (Waudby-Smith & Ramdas 2023, §5, and their grid of bets; Cover 1991): it depends on how often each z was seen, not
on the order.

Streams of several tasks multiply: for independent z_k staked a_k, E Π(1 + λ a_k z_k) = Π(1 + λ a_k E z_k), which is at
most exp(λ Σ a_k E z_k) ≤ 1 under H: Σ a_k E z_k ≤ 0. Betting on the sum instead would bound λ by the case where every
task shows its worst at once.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distbench.stats.samples import FloatArray

# Methods of estimates: the interval bet along the looks, and its intersection with the fixed-size one at the last look.
# Neither needs a floor: the first holds at any n, the second takes a fixed-size interval only where that may decide.
BETTING, BETTING_AND_FIXED = "betting", "betting_fixed"

# The grid of bets, as shares of the largest λ that cannot be bankrupted; `scripts/simulate_gate.py --only d` tries
# others.
_BETS = 16
_LARGEST_BET = 0.98
# The smallest bet worth holding is the best one against the smallest effect that all units together could show. That
# depends on the variance of z, here taken as this share of the largest that the range of z allows.
_USUAL_VARIANCE = 0.25
# Logarithms are taken of this many z at a time: memory stays bounded for scores that never repeat.
_AT_A_TIME = 1 << 16


@dataclass(frozen=True, eq=False)
class Ledger:
    """What was seen at every look: `counts[..., l, u]` units of kind u within look l (cumulative).

    `x` and `y` are the excess over the baseline of student and teacher of each kind (+ is better), times its stake.
    A row of `ranges` holds the possible (lowest x, highest x, lowest y, highest y) of one stream of units, and
    `planned` how many units that stream will have in the end.
    """

    x: FloatArray
    y: FloatArray
    counts: FloatArray
    ranges: FloatArray
    planned: FloatArray

    def excess(self) -> tuple[FloatArray, FloatArray]:
        """Return Σx and Σy by look."""
        return self.counts @ self.x, self.counts @ self.y


def join(ledgers: Sequence[Ledger]) -> Ledger:
    """Return one ledger of independent streams that were looked at together."""
    return Ledger(
        x=np.concatenate([ledger.x for ledger in ledgers]),
        y=np.concatenate([ledger.y for ledger in ledgers]),
        counts=np.concatenate([ledger.counts for ledger in ledgers], axis=-1),
        ranges=np.concatenate([ledger.ranges for ledger in ledgers]),
        planned=np.concatenate([ledger.planned for ledger in ledgers]),
    )


def log_wealth(ledger: Ledger, contrast: tuple[float, float], *, level: float) -> FloatArray:
    """Return by look the log of the wealth against H: E Σ(c_x x + c_y y) ≤ 0, with `contrast` (c_x, c_y).

    The bets are chosen for a test at one-sided `level`; the wealth is an e-value whatever level it is compared to.
    Infinite where H says that an outcome is impossible and it was seen.
    """
    cx, cy = contrast
    z = cx * ledger.x + cy * ledger.y
    possible = ledger.ranges * np.array([cx, cx, cy, cy])
    worst = -(possible[:, :2].min(axis=1) + possible[:, 2:].min(axis=1))
    limit = float(worst.max())
    if limit <= 1e-12 * float(np.abs(possible).max(initial=0.0)):
        # Nothing can be lost, so H allows no gain either.
        return np.where(ledger.counts @ (z > 0) > 0, math.inf, 0.0)
    fractions, log_weights = bets(float(ledger.planned @ (np.maximum(worst, 0.0) / limit) ** 2), level)
    grown = np.broadcast_to(log_weights, (*ledger.counts.shape[:-1], log_weights.size)).copy()
    for start in range(0, z.size, _AT_A_TIME):
        part = slice(start, start + _AT_A_TIME)
        # Rounding may put z a hair below its own bound; the largest bet leaves 2 % of room.
        grown += ledger.counts[..., part] @ np.log1p(np.outer(z[part] / limit, fractions))
    top = grown.max(axis=-1)
    return np.asarray(top + np.log(np.exp(grown - top[..., None]).sum(axis=-1)))


@functools.lru_cache(maxsize=512)
def bets(capacity: float, level: float) -> tuple[FloatArray, FloatArray]:
    """Return the grid of bets (shares of the largest λ) and the logs of their weights, which sum to 1.

    `capacity` is the number of units to come, each counted with the square of its share of the largest stake. Even in
    log λ, tilted by λ^−½ towards small bets, because a small effect is what needs every sample. Nothing here may depend
    on a score.
    """
    # Wealth grows by at most μ²/2σ² a unit, at λ = μ/σ²; n units must bring log(1/level): λ² = 2 log(1/level)/(n σ²).
    smallest = math.sqrt(2 * math.log(1 / level) / (max(capacity, 1.0) * _USUAL_VARIANCE))
    fractions = np.geomspace(min(0.5, smallest), _LARGEST_BET, _BETS)
    weights = fractions**-0.5
    return fractions, np.log(weights / weights.sum())
