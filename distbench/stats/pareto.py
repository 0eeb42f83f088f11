"""Trade-offs between several objectives: the front, the volume under it, and how sure a place on it is."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import scipy
from numpy.typing import ArrayLike, NDArray

from distbench.stats.estimate import Estimate
from distbench.stats.samples import BoolArray, FloatArray, check_alpha


def pareto_front(points: ArrayLike, *, maximise: Sequence[bool]) -> list[int]:
    """Return the indices of the points that no other dominates, in their order.

    Dominated: another is at least as good in every objective and better in one. Equal points are all kept.
    `maximise[j]` tells the direction of column j. Raises `ValueError` for a NaN or a wrong number of directions.
    """
    return [int(i) for i in np.flatnonzero(_undominated(_oriented(points, maximise)))]


def hypervolume(points: ArrayLike, *, reference: ArrayLike, maximise: Sequence[bool]) -> float:
    """Return the volume between `reference` and the front (Zitzler 1999); its unit is the product of the objectives'.

    Points not better than the reference in every objective add nothing. Exact, by slicing; meant for tens of points.
    """
    reference_point = _oriented(np.atleast_2d(np.asarray(reference, dtype=np.float64)), maximise)
    gains = _oriented(points, maximise) - reference_point
    return _volume(gains[(gains > 0).all(axis=1)])


def front_probability(
    retained: Sequence[Estimate], cost: ArrayLike, *, alpha: float = 0.05, n_draws: int = 4000, seed: int = 0
) -> FloatArray:
    """Return the probability of each student to lie on the front of maximal R and minimal `cost`.

    R is drawn from a split normal whose halves reach the limits of the 1 − `alpha` interval; cost is taken as exact.
    Students are drawn independently, although they share a teacher, so the probability leans to the middle. A student
    without an interval has probability NaN and takes no part.
    """
    check_alpha(alpha)
    costs = np.asarray(cost, dtype=np.float64)
    if costs.shape != (len(retained),):
        raise ValueError(f"{len(retained)} estimates need as many costs, not an array of shape {costs.shape}")
    out = np.full(len(retained), np.nan)
    known = [i for i, e in enumerate(retained) if e.value is not None and e.interval is not None and e.interval.bounded]
    if not known:
        return out
    centre = np.array([retained[i].value for i in known], dtype=np.float64)
    lo = np.array([retained[i].lo for i in known], dtype=np.float64)
    hi = np.array([retained[i].hi for i in known], dtype=np.float64)
    draws = np.random.default_rng(seed).standard_normal((n_draws, len(known)))
    r = centre + draws * np.where(draws < 0, centre - lo, hi - centre) / float(scipy.stats.norm.isf(alpha / 2))
    c = costs[known]
    cheaper, same = c[None, :] < c[:, None], c[None, :] == c[:, None]
    beaten = np.zeros((n_draws, len(known)), dtype=np.bool_)
    for i in range(len(known)):
        better, equal = r > r[:, [i]], r == r[:, [i]]
        beaten[:, i] = ((better & (cheaper | same)[i]) | (equal & cheaper[i])).any(axis=1)
    out[known] = 1 - beaten.mean(axis=0)
    return out


def _oriented(points: ArrayLike, maximise: Sequence[bool]) -> NDArray[np.float64]:
    table = np.asarray(points, dtype=np.float64)
    if table.size == 0:
        return np.empty((0, len(maximise)))  # no point has no shape to be wrong about
    if table.ndim != 2 or table.shape[1] != len(maximise) or np.isnan(table).any():
        raise ValueError(
            f"points of shape {table.shape} must have {len(maximise)} columns, one a direction, and no NaN"
        )
    return table * np.where(maximise, 1.0, -1.0)


def _undominated(table: NDArray[np.float64]) -> BoolArray:
    keep = np.ones(len(table), dtype=np.bool_)
    for i, point in enumerate(table):
        keep[i] = not ((table >= point).all(axis=1) & (table > point).any(axis=1)).any()
    return keep


def _volume(gains: NDArray[np.float64]) -> float:
    if len(gains) == 0:
        return 0.0
    front = np.unique(gains[_undominated(gains)], axis=0)
    if front.shape[1] == 1:
        return float(front.max())
    # Slice along the last objective: within a slice only the points that reach it count.
    levels = np.unique(front[:, -1])
    thickness = np.diff(levels, prepend=0.0)
    slices = (t * _volume(front[front[:, -1] >= level, :-1]) for level, t in zip(levels, thickness, strict=True))
    return math.fsum(slices)
