"""Chance-corrected retention of one student on one task: R = (s̄ − b)/(t̄ − b)."""

from __future__ import annotations

import math

from numpy.typing import ArrayLike

from distbench.stats.cells import Cells
from distbench.stats.clusters import mean_covariance
from distbench.stats.estimate import Estimate, Status
from distbench.stats.fieller import ratio_of_means
from distbench.stats.samples import Labels, check_alpha, is_binary, paired
from distbench.stats.score import has_signal, score_interval

_NO_SIGNAL = (Status.NO_SIGNAL, "the teacher is not significantly above the baseline, so there is nothing to retain")


def retained(
    student: ArrayLike,
    teacher: ArrayLike,
    *,
    baseline: float = 0.0,
    higher_is_better: bool = True,
    clusters: Labels | None = None,
    binary: bool | None = None,
    alpha: float = 0.05,
) -> Estimate:
    """Return R = (s̄ − b)/(t̄ − b) of scores paired by sample, with its two-sided 1 − `alpha` interval.

    `baseline` b is the score of chance or of a trivial system, in the unit of the scores. `binary` scores (found out
    when None) without `clusters` get the constrained score interval (`score_cml`), all others Fieller's with
    t(n − 1) (`fieller_t`) or, clustered, t(G − 1) (`fieller_cluster`). Clustered binary scores that never disagree
    carry no spread; they get the score interval of G independent samples (`score_cluster_bound`).

    NO_SIGNAL without a value where the teacher is not significantly above b (below b for a lower-is-better metric).
    Clusters never show a signal, nor a shorter interval, than the same scores as independent samples would: a template
    whose items are balanced has the same score for every model that guesses, which is no precision (`Moments`).
    R is never clipped: above 1 and below 0 are kept. One sample, or one cluster, has no interval.

    Raises `ValueError` for empty, unequal or non-finite input, a missing cluster, or `binary` scores that are not 0/1.
    """
    s, t = paired(student=student, teacher=teacher)
    check_alpha(alpha)
    if not math.isfinite(baseline):
        raise ValueError(f"baseline is {baseline}; it must be a finite score")
    if binary and not is_binary(s, t):
        raise ValueError("binary scores must be 0 or 1")
    cells = Cells.from_scores(s, t) if binary or (binary is None and is_binary(s, t)) else None
    b = baseline
    if cells and not higher_is_better:
        cells, b = cells.complement(), 1 - baseline
    if cells and clusters is None:
        return retained_from_cells(cells, baseline=b, alpha=alpha)
    sign = 1.0 if higher_is_better else -1.0
    moments = mean_covariance(sign * (s - baseline), sign * (t - baseline), clusters=clusters)
    estimate = ratio_of_means(moments, alpha=alpha, empty=_NO_SIGNAL)
    if cells and cells.discordant == 0 and estimate.value is not None:
        return _never_discordant(cells, estimate, groups=int(moments.df) + 1, baseline=b, alpha=alpha)
    return estimate


def retained_from_cells(cells: Cells, *, baseline: float = 0.0, alpha: float = 0.05) -> Estimate:
    """Return R of independent 0/1 scores from their 2 × 2 table, with the constrained score interval."""
    return _scored(cells, baseline=baseline, alpha=alpha, n=round(cells.n), method="score_cml")


def retained_raw(
    student: ArrayLike,
    teacher: ArrayLike,
    *,
    clusters: Labels | None = None,
    binary: bool | None = None,
    alpha: float = 0.05,
) -> Estimate:
    """Return s̄/t̄, the "retains x %" of papers: R with b = 0. Not to be printed for lower-is-better metrics."""
    return retained(student, teacher, clusters=clusters, binary=binary, alpha=alpha)


def retained_from_means(
    student: float, teacher: float, *, baseline: float = 0.0, higher_is_better: bool = True, n: int = 0
) -> Estimate:
    """Return R of two mean scores, as from a published table: no interval, and NO_SIGNAL only when t̄ is not above b."""
    if not all(map(math.isfinite, (student, teacher, baseline))):
        raise ValueError("mean scores and baseline must be finite")
    excess = teacher - baseline
    if (excess if higher_is_better else -excess) <= 0:
        return Estimate(None, None, None, n, "means", Status.NO_SIGNAL, "the teacher is not above the baseline")
    return Estimate((student - baseline) / excess, None, None, n, "means", Status.NO_INTERVAL, "no per-sample scores")


def retained_ratio_of_sums(
    student: ArrayLike,
    teacher: ArrayLike,
    weight: ArrayLike,
    *,
    baseline: float,
    higher_is_better: bool = True,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> Estimate:
    """Return R of a corpus metric Σ numerator / Σ `weight`, as a word error rate (errors over reference words, b = 1).

    `student` and `teacher` are the numerators of each sample (an utterance), `weight` their common denominator (> 0 in
    sum). R = Σ(s − b w)/Σ(t − b w), a ratio of means, so Fieller's interval holds.
    """
    s, t, w = paired(student=student, teacher=teacher, weight=weight)
    if not (w >= 0).all() or not w.sum() > 0:
        raise ValueError("weights of a ratio of sums must be ≥ 0 and not all 0")
    sign = 1.0 if higher_is_better else -1.0
    moments = mean_covariance(sign * (s - baseline * w), sign * (t - baseline * w), clusters=clusters)
    return ratio_of_means(moments, alpha=alpha, empty=_NO_SIGNAL)


def _scored(cells: Cells, *, baseline: float, alpha: float, n: int, method: str, groups: int | None = None) -> Estimate:
    if not has_signal(cells, baseline=baseline, alpha=alpha):
        return Estimate(None, None, None, n, method, *_NO_SIGNAL, n_clusters=groups)
    value = (cells.student_rate - baseline) / (cells.teacher_rate - baseline)
    if n < 2 or groups == 1:
        reason = "an interval needs at least two samples, or two clusters"
        return Estimate(value, None, None, n, method, Status.NO_INTERVAL, reason, n_clusters=groups)
    limits = score_interval(cells, baseline=baseline, alpha=alpha)
    return Estimate(value, limits.lo, limits.hi, n, method, n_clusters=groups)


def _never_discordant(cells: Cells, otherwise: Estimate, *, groups: int, baseline: float, alpha: float) -> Estimate:
    # The cluster covariance of equal scores is exactly 0 and Fieller's interval would be [1, 1], which only equal
    # *outputs* deserve. The worst case is that a cluster answers as one: the information of G samples.
    shrunk, method = cells.scaled(groups / cells.n), "score_cluster_bound"
    bound = _scored(shrunk, baseline=baseline, alpha=alpha, n=otherwise.n, method=method, groups=groups)
    # With a signal that only all samples together show, the bound is infinite: that is Fieller's "no interval".
    return otherwise if bound.status is Status.NO_SIGNAL else bound
