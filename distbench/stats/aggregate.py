"""Means, ratios and ranks over tasks whose mean scores are known, as in a published table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy
from numpy.typing import ArrayLike

from distbench.stats.samples import FloatArray, paired, vector


@dataclass(frozen=True)
class RatioSummary:
    """Retention over tasks. `ratios[i]` is None, and i in `left_out`, where teacher i is not above its baseline.

    The averages cover the other tasks only, and are None when there is none. `geometric_mean` needs ratios above 0.
    """

    ratios: tuple[float | None, ...]
    left_out: tuple[int, ...]
    ratio_of_means: float | None
    mean_of_ratios: float | None
    geometric_mean: float | None
    median: float | None
    worst: float | None
    worst_index: int | None


def summarise_ratios(
    student: ArrayLike,
    teacher: ArrayLike,
    *,
    baseline: ArrayLike = 0.0,
    best: ArrayLike = 1.0,
    weights: ArrayLike = 1.0,
) -> RatioSummary:
    """Summarise retention over tasks from mean scores, one a task.

    The ratio of means is Σw(s̄ − b)/(u − b) ÷ Σw(t̄ − b)/(u − b) with `baseline` b and `best` u (u < b: lower is
    better); where all tasks share b and u, any common scale (percent) gives the same. `worst` is the smallest single
    ratio.

    Raises `ValueError` for unequal or non-finite input, u = b, and weights that are not positive.
    """
    s, t = paired(student=student, teacher=teacher)
    b, u, w = (np.broadcast_to(np.asarray(x, dtype=np.float64), s.shape) for x in (baseline, best, weights))
    paired(student=s, baseline=b, best=u, weights=w)
    if (u == b).any() or not (w > 0).all():
        raise ValueError("every task needs a best score other than its baseline, and a weight above 0")
    span = u - b
    up, down = (s - b) / span, (t - b) / span
    kept = np.flatnonzero(down > 0)
    left_out = tuple(int(i) for i in np.flatnonzero(down <= 0))
    if kept.size == 0:
        return RatioSummary((None,) * s.size, left_out, None, None, None, None, None, None)
    # Not up/down: dividing by the span first would round twice.
    ratios = (s[kept] - b[kept]) / (t[kept] - b[kept])
    each: list[float | None] = [None] * s.size
    for i, ratio in zip(kept, ratios, strict=True):
        each[int(i)] = float(ratio)
    worst = int(np.argmin(ratios))
    return RatioSummary(
        ratios=tuple(each),
        left_out=left_out,
        ratio_of_means=float(w[kept] @ up[kept] / (w[kept] @ down[kept])),
        mean_of_ratios=float(np.average(ratios, weights=w[kept])),
        geometric_mean=float(scipy.stats.gmean(ratios, weights=w[kept])) if (ratios > 0).all() else None,
        median=float(np.median(ratios)),
        worst=float(ratios[worst]),
        worst_index=int(kept[worst]),
    )


def normalised_scores(
    raw: ArrayLike, baseline: ArrayLike, *, best: ArrayLike = 1.0, clip: bool = False, scale: float = 100.0
) -> FloatArray:
    """Return `scale`·(score − b)/(u − b) of each score: 0 at chance, `scale` at best.

    `clip` lifts negative values to 0, as the Open LLM Leaderboard does. Clipped scores may be shown but never divided:
    a ratio of them hides how far below chance a model is.
    """
    scores = vector("raw", raw)
    b, u = (np.broadcast_to(np.asarray(x, dtype=np.float64), scores.shape) for x in (baseline, best))
    paired(raw=scores, baseline=b, best=u)
    if (u == b).any():
        raise ValueError("the best score must differ from the baseline")
    normalised = (scores - b) / (u - b)
    return scale * (np.maximum(normalised, 0.0) if clip else normalised)


def relative_degradation(student: float, teacher: float, *, higher_is_better: bool = True) -> float | None:
    """Return by which share of the teacher's score the student is worse (0.155: error up by 15.5 %); None for t̄ = 0."""
    if teacher == 0 or not math.isfinite(student) or not math.isfinite(teacher):
        return None
    return (teacher - student if higher_is_better else student - teacher) / abs(teacher)


def mean_win_rates(scores: Sequence[ArrayLike], *, ties: float = 0.5) -> tuple[FloatArray, FloatArray]:
    """Return the win rate of each model (column) in each scenario (row), and its mean over scenarios (HELM).

    A win rate is the share of the *other* models that it beats, a tie counting `ties`. It depends on the set of models,
    so no gate may use it. Raises `ValueError` for fewer than two models.
    """
    table = np.stack([vector(f"scores[{i}]", row) for i, row in enumerate(scores)])
    n_models = table.shape[1]
    if n_models < 2:
        raise ValueError("a win rate needs at least two models")
    wins = (table[:, :, None] > table[:, None, :]).sum(axis=2)
    equal = (table[:, :, None] == table[:, None, :]).sum(axis=2) - 1  # a model ties with itself
    rates = (wins + ties * equal) / (n_models - 1)
    return rates, rates.mean(axis=0)
