"""Several training runs of one recipe: what can be said of a method, and not only of one checkpoint that it made.

A score of run k on item i is m + a_k + b_i + e_ki: the runs and the items are crossed, and both are samples. The
variance of the mean over K runs and n items is estimated as S²(run means)/K + S²(item means)/n. Each of the two parts
also holds the interaction e/(K n), so the sum errs on the wide side; two-way clustering subtracts it once (Cameron,
Gelbach & Miller 2011, §2.3), which may leave a negative variance, and the bootstrap over both margins counts it twice
as this does (Owen 2007, "The pigeonhole bootstrap").

Three seeds leave two degrees of freedom. A common quantile by Satterthwaite is too short where the runs happen to lie
close together, so each part gets its own: the half-width is √(Σ t²(df) · part), whose coverage is at least nominal
whatever the true ratio of the parts (Banerjee 1960, Sankhyā 22, 357–358). Fieller's set takes the same form.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from distbench.stats.clusters import Moments, mean_covariance
from distbench.stats.difference import linear_estimate, mean_estimate
from distbench.stats.estimate import Estimate, Status
from distbench.stats.fieller import ratio_of_means, t_quantile
from distbench.stats.samples import FloatArray, Labels, check_alpha, paired

OVER_SEEDS = "paired_t_seeds"
SEEDS_AND_ITEMS = "seeds_and_items"
_NO_SPREAD = "every run scored the same on every item: no spread to build an interval on"
_SAME = "every seed shows the same value: no spread to build an interval on"
_NO_SIGNAL = (Status.NO_SIGNAL, "the teacher is not significantly above the baseline, so there is nothing to retain")
_NO_GAP = (Status.NO_GAP, "the teacher is not significantly above the control, so there is no gap to recover")


@dataclass(frozen=True)
class SeededTask:
    """One task's scores: `teacher` [n], `student` and `control` [K, n], row k trained with the k-th seed.

    `scale` is (baseline, best score); best below baseline means lower is better. `weight` is the task's in the mean of
    its suite. Raises `ValueError` for shapes that do not fit, fewer than two seeds, and scores that are not finite.
    """

    teacher: FloatArray
    student: FloatArray
    control: FloatArray | None = None
    scale: tuple[float, float] = (0.0, 1.0)
    clusters: Labels | None = None
    weight: float = 1.0

    def __post_init__(self) -> None:
        n = self.teacher.shape[-1]
        runs = [each for each in (self.student, self.control) if each is not None]
        if self.teacher.ndim != 1 or any(each.ndim != 2 or each.shape[1] != n for each in runs):
            raise ValueError("scores are [n] of the teacher, [seeds, n] of the student and of its control")
        if self.control is not None and self.control.shape != self.student.shape:
            raise ValueError("student and control need one row a seed each")
        if self.student.shape[0] < 2 or not n:
            raise ValueError("a spread over seeds needs at least two of them, and at least one item")
        if not all(np.isfinite(each).all() for each in (self.teacher, *runs)):
            raise ValueError("every score must be a finite number")
        if self.scale[0] == self.scale[1]:
            raise ValueError(f"the best score equals the baseline {self.scale[0]}")


def seed_difference(
    student: ArrayLike, control: ArrayLike, *, higher_is_better: bool = True, alpha: float = 0.05
) -> Estimate:
    """Return the mean of student − control, one value of each a seed, with its paired t(K − 1) interval.

    It speaks of further training runs on these very test items; `difference_over_seeds` also of further items. + means
    the student is better. No interval for a single seed, nor where all differences are equal.
    """
    s, c = paired(student=student, control=control)
    return seed_mean(s - c if higher_is_better else c - s, alpha=alpha)


def seed_mean(values: ArrayLike, *, alpha: float = 0.05) -> Estimate:
    """Return the mean of one value a seed with its t(K − 1) interval, over training runs on these test items."""
    (v,) = paired(values=values)
    found = replace(mean_estimate(v, alpha=alpha), method=OVER_SEEDS)
    if found.lo is None:
        return replace(found, reason="an interval needs at least two seeds")
    if np.ptp(v) <= 1e-12 * max(1.0, float(np.abs(v).max())):
        return replace(found, lo=None, hi=None, se=None, df=None, status=Status.NO_INTERVAL, reason=_SAME)
    return found


def score_over_seeds(scores: ArrayLike, *, clusters: Labels | None = None, alpha: float = 0.05) -> Estimate:
    """Return the mean of scores [K, n] over seeds and items, with an interval that covers both."""
    values = np.asarray(scores, dtype=np.float64)
    task = SeededTask(values[0], values, clusters=clusters)
    return _linear([task], lambda each: each.student[:, :, None], alpha)


def difference_over_seeds(
    student: ArrayLike,
    control: ArrayLike,
    *,
    higher_is_better: bool = True,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> Estimate:
    """Return the mean of student − control, both [K, n], with an interval over training runs and test items."""
    s, c = np.asarray(student, dtype=np.float64), np.asarray(control, dtype=np.float64)
    sign = 1.0 if higher_is_better else -1.0
    task = SeededTask(c[0], s, c, clusters=clusters)
    return _linear([task], lambda each: sign * (each.student - _control(each))[:, :, None], alpha)


def retained_over_seeds(tasks: Sequence[SeededTask], *, alpha: float = 0.05) -> Estimate:
    """Return the mean student's R, Σw(s̄ − b)/(u − b) ÷ Σw(t̄ − b)/(u − b), over seeds, items and tasks.

    Raises `ValueError` for no task, and for tasks of different seeds.
    """

    def columns(task: SeededTask) -> FloatArray:
        baseline = task.scale[0]
        below = np.broadcast_to(task.teacher - baseline, task.student.shape)
        return np.stack([task.student - baseline, below], axis=-1)

    return ratio_of_means(_moments(tasks, columns, alpha), alpha=alpha, empty=_NO_SIGNAL, method=SEEDS_AND_ITEMS)


def gap_over_seeds(tasks: Sequence[SeededTask], *, alpha: float = 0.05) -> Estimate:
    """Return the gap that the method recovers, (s̄ − s̄₀)/(t̄ − s̄₀) of the means over seeds, items and tasks.

    A ratio of means, not a mean of the seeds' ratios: one control that comes near the teacher would make its ratio
    anything. NO_GAP without a value where the teacher is not significantly above the controls. Raises `ValueError` as
    `retained_over_seeds`, and where a task has no control.
    """

    def columns(task: SeededTask) -> FloatArray:
        control = _control(task)
        return np.stack([task.student - control, task.teacher - control], axis=-1)

    return ratio_of_means(_moments(tasks, columns, alpha), alpha=alpha, empty=_NO_GAP, method=SEEDS_AND_ITEMS)


def _control(task: SeededTask) -> FloatArray:
    if task.control is None:
        raise ValueError("a difference to the control needs the control's scores")
    return task.control


def _linear(tasks: Sequence[SeededTask], columns: Callable[[SeededTask], FloatArray], alpha: float) -> Estimate:
    found = replace(
        linear_estimate(_moments(tasks, columns, alpha), (1.0,), alpha=alpha), method=SEEDS_AND_ITEMS, df=None
    )
    if found.se:
        return found
    # every run scored the same on every item (all of them right, say): that is no certainty about further items
    return replace(found, lo=None, hi=None, se=None, status=Status.NO_INTERVAL, reason=_NO_SPREAD)


def _moments(tasks: Sequence[SeededTask], columns: Callable[[SeededTask], FloatArray], alpha: float) -> Moments:
    """Return means and a covariance which, taken with the normal quantile, gives the half-widths of both sources.

    `columns` gives [K, n, c] of a task; tasks share their seeds and are independent in their items.
    """
    check_alpha(alpha)
    if not tasks or len({task.student.shape[0] for task in tasks}) > 1:
        raise ValueError("a spread over seeds needs at least one task, and the same seeds on each")
    total = sum(task.weight for task in tasks)
    runs: FloatArray | float = 0.0
    spread: FloatArray | float = 0.0
    for task in tasks:
        factor = task.weight / total / abs(task.scale[1] - task.scale[0])
        sign = 1.0 if task.scale[1] > task.scale[0] else -1.0
        values = sign * factor * columns(task)
        runs = runs + values.mean(axis=1)
        spread = spread + _items(values.mean(axis=0), task.clusters, alpha)
    assert isinstance(runs, np.ndarray)
    between = np.atleast_2d(np.cov(runs, rowvar=False)) / len(runs)
    spread = spread + t_quantile(len(runs) - 1.0, alpha) ** 2 * between
    assert isinstance(spread, np.ndarray)
    n = sum(task.teacher.size for task in tasks)
    return Moments(runs.mean(axis=0), spread / t_quantile(math.inf, alpha) ** 2, math.inf, n)


def _items(values: FloatArray, clusters: Labels | None, alpha: float) -> FloatArray:
    """Return t² × the covariance of the mean over items; `values` [n, c] are means over seeds."""
    moments = mean_covariance(*values.T, clusters=clusters)
    if moments.df < 1:
        raise ValueError("a spread over items needs at least two of them, or two clusters")
    found: FloatArray = t_quantile(moments.df, alpha) ** 2 * moments.dominating()
    return found
