"""How much of the gap that distillation could close it did close."""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from distbench.stats.clusters import mean_covariance
from distbench.stats.estimate import Estimate, Status
from distbench.stats.fieller import ratio_of_means
from distbench.stats.samples import Labels, paired

_NO_GAP = (Status.NO_GAP, "the teacher is not significantly above the control, so there is no gap to recover")


def gap_recovered(
    teacher: ArrayLike,
    student: ArrayLike,
    control: ArrayLike,
    *,
    higher_is_better: bool = True,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> Estimate:
    """Return (s̄ − s̄₀)/(t̄ − s̄₀) of scores paired by sample, with Fieller's interval.

    `control` s₀ is the same student trained without the teacher at the same budget. 0: the teacher added nothing;
    1: the student caught up; below 0: distillation did harm. NO_GAP without a value where the teacher is not
    significantly above the control. Raises `ValueError` for empty, unequal or non-finite input.
    """
    t, s, c = paired(teacher=teacher, student=student, control=control)
    sign = 1.0 if higher_is_better else -1.0
    moments = mean_covariance(sign * (s - c), sign * (t - c), clusters=clusters)
    return ratio_of_means(moments, alpha=alpha, empty=_NO_GAP)


def gap_recovered_from_means(
    teacher: float, student: float, control: float, *, higher_is_better: bool = True
) -> Estimate:
    """Return (s̄ − s̄₀)/(t̄ − s̄₀) of mean scores: no interval, and NO_GAP only where t̄ is not above s̄₀."""
    if not all(map(math.isfinite, (teacher, student, control))):
        raise ValueError("mean scores must be finite")
    gap = teacher - control
    if (gap if higher_is_better else -gap) <= 0:
        return Estimate(None, None, None, 0, "means", Status.NO_GAP, "the teacher is not above the control")
    return Estimate((student - control) / gap, None, None, 0, "means", Status.NO_INTERVAL, "no per-sample scores")
