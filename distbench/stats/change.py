"""What changed between two models or two runs: an estimate of the change, and the p-value of "nothing did".

Interval and test say the same: the p-value is at most α exactly where the two-sided 1 − α interval leaves out 0 (for
ratios: 1).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import scipy
from numpy.typing import ArrayLike

from distbench.stats.cells import Cells
from distbench.stats.clusters import mean_covariance
from distbench.stats.difference import linear_estimate
from distbench.stats.estimate import IDENTICAL, Estimate, Status
from distbench.stats.fieller import t_quantile
from distbench.stats.intervals import Interval
from distbench.stats.paired_rates import rate_difference_interval, rate_difference_statistic
from distbench.stats.samples import FloatArray, Labels, codes, is_binary, paired

_NO_SPREAD = "every sample shows the same difference: no spread to build an interval on"


@dataclass(frozen=True)
class Change:
    """`estimate` of the change; `p_value` (two-sided) of "no change", None where there is no interval."""

    estimate: Estimate
    p_value: float | None


def paired_change(
    after: ArrayLike, before: ArrayLike, *, clusters: Labels | None = None, alpha: float = 0.05
) -> Change:
    """Return mean(after) − mean(before) of scores paired by sample.

    0/1 scores: Tango's score interval, whose test of 0 is McNemar's; all others Student's t of the differences. With
    `clusters` the cluster-robust t(G − 1), and for 0/1 scores never a shorter interval than as many independent samples
    have; 0/1 scores that never differ count as G samples. Other scores that never differ have no interval: equal scores
    are no proof of equal models. Raises `ValueError` for empty, unequal or non-finite input.
    """
    a, b = paired(after=after, before=before)
    if not is_binary(a, b):
        return _of_means(a - b, clusters, alpha)
    cells = Cells.from_scores(a, b)
    if clusters is None:
        return _of_rates(cells, n=a.size, alpha=alpha)
    groups = len(codes("clusters", clusters, a.size)[1])
    if groups < 2:
        return _of_means(a - b, clusters, alpha)
    if cells.discordant == 0:
        return _of_rates(cells.scaled(groups / cells.n), n=a.size, alpha=alpha, groups=groups)
    robust, independent = _of_means(a - b, clusters, alpha), _of_rates(cells, n=a.size, alpha=alpha)
    return _wider(robust, independent)


def independent_change(after: Estimate, before: Estimate, *, alpha: float = 0.05) -> Change:
    """Return after − before of two estimates from unrelated samples, from their two-sided 1 − `alpha` intervals.

    Each limit takes the distance of the limits that make it smallest or largest (Zou & Donner 2008, "Construction of
    confidence intervals about effect measures", Statistics in Medicine 27), which for Wilson's intervals is Newcombe's
    method and for t intervals nearly Welch's. Samples that are the same on both sides make it wider than needed.
    """
    n = min(after.n, before.n)
    if after.value is None or before.value is None:
        return Change(_without("independent", n, _missing(after, before)), None)
    value = after.value - before.value
    reason = _open(after) or _open(before)
    if reason is not None or after.interval is None or before.interval is None:
        why = reason or "one of the two has no interval"
        return Change(Estimate(value, None, None, n, "independent", Status.NO_INTERVAL, why), None)
    a, b = after.interval, before.interval
    below = math.hypot(after.value - a.lo, b.hi - before.value)
    above = math.hypot(a.hi - after.value, before.value - b.lo)
    rates = after.method == before.method == "wilson"
    estimate = Estimate(value, value - below, value + above, n, "newcombe" if rates else "independent")
    if below == 0 and above == 0:
        return Change(replace(estimate, method="exact"), 1.0 if value == 0 else 0.0)
    df = min((each.df for each in (after, before) if each.df is not None), default=math.inf)
    return Change(estimate, p_of_interval(replace(estimate, df=df), alpha))


def independent_times(after: Estimate, before: Estimate, *, alpha: float = 0.05) -> Change:
    """Return after ÷ before of two ratios from unrelated measurements: `independent_change` of their logarithms."""
    found = independent_change(_logarithm(after), _logarithm(before), alpha=alpha)
    each = found.estimate
    value, lo, hi = (None if x is None else math.exp(x) for x in (each.value, each.lo, each.hi))
    return Change(replace(each, value=value, lo=lo, hi=hi, method="ratio of independent ratios"), found.p_value)


@dataclass(frozen=True)
class RetainedTwice:
    """One task asked twice: `after` and `before` are (student's scores, teacher's scores), all four paired by sample.

    `scale` is (baseline, best score), as in `suite_task`. `same_outputs`: both models answered alike both times.
    """

    after: tuple[FloatArray, FloatArray]
    before: tuple[FloatArray, FloatArray]
    scale: tuple[float, float] = (0.0, 1.0)
    clusters: Labels | None = None
    weight: float = 1.0
    same_outputs: bool = False


def retained_change(tasks: Sequence[RetainedTwice], *, alpha: float = 0.05) -> Change:
    """Return R(after) − R(before), R the ratio of macro means of normalised scores over `tasks` (one task: its own R).

    The interval is that of the first-order expansion: with f = weight/(best − baseline), a sample's influence on R is
    f ((s − b) − R (t − b)) ÷ Σ f (t̄ − b); the difference of the two influences has the (cluster-robust) variance of a
    mean, tasks are independent, and the degrees of freedom are Satterthwaite's. 0/1 scores that never change move half
    a sample each way for the variance, as in `suite_task`. No value where a teacher is not significantly above the
    baseline. Raises `ValueError` for no task and for input that is not paired.
    """
    if not tasks:
        raise ValueError("a change of what is retained needs at least one task")
    n = sum(len(task.after[0]) for task in tasks)
    if all(task.same_outputs for task in tasks):
        return Change(Estimate(0.0, 0.0, 0.0, n, IDENTICAL), 1.0)
    sides = [_centred(tasks, after=which) for which in (True, False)]
    levels = [_level(side, tasks, alpha) for side in sides]
    if None in levels:
        why = "a teacher is not significantly above the baseline"
        return Change(_without("linearised", n, why, Status.NO_SIGNAL), None)
    ratios = [sum(float(s.mean()) for s, _ in side) / (level or 1.0) for side, level in zip(sides, levels, strict=True)]
    variances, dfs = [], []
    for place, task in enumerate(tasks):
        influence = [
            (side[place][0] - ratio * side[place][1]) / (level or 1.0)
            for side, ratio, level in zip(sides, ratios, levels, strict=True)
        ]
        moments = mean_covariance(influence[0] - influence[1], clusters=task.clusters)
        if moments.df < 1:
            why = "an interval needs at least two samples, or two clusters, in every task"
            return Change(Estimate(ratios[0] - ratios[1], None, None, n, "linearised", Status.NO_INTERVAL, why), None)
        factor = task.weight / (task.scale[1] - task.scale[0]) / (levels[0] or 1.0)
        variances.append(moments.contrast((1.0,))[1] + _half_a_sample(task, moments.df + 1) * factor**2)
        dfs.append(moments.df)
    return _linearised(ratios[0] - ratios[1], variances, dfs, n, alpha)


def _centred(tasks: Sequence[RetainedTwice], *, after: bool) -> list[tuple[FloatArray, FloatArray]]:
    """Return each task's (student, teacher) scores above the baseline, scaled so that task means add up."""
    found = []
    for task in tasks:
        s, t = paired(
            student=(task.after if after else task.before)[0], teacher=(task.after if after else task.before)[1]
        )
        baseline, best = task.scale
        factor = task.weight / (best - baseline)
        found.append((factor * (s - baseline), factor * (t - baseline)))
    return found


def _level(side: Sequence[tuple[FloatArray, FloatArray]], tasks: Sequence[RetainedTwice], alpha: float) -> float | None:
    """Return the teacher's macro mean above the baseline, or None where it is not significantly above 0."""
    moments = [mean_covariance(t, clusters=task.clusters) for (_, t), task in zip(side, tasks, strict=True)]
    if any(each.df < 1 for each in moments):
        return None
    level = sum(float(each.mean[0]) for each in moments)
    variance = sum(each.contrast((1.0,))[1] for each in moments)
    df = min(each.df for each in moments)
    return level if level > 0 and level**2 > t_quantile(df, alpha) ** 2 * variance else None


def _half_a_sample(task: RetainedTwice, units: float) -> float:
    """Return the variance to add where 0/1 scores never change although the answers may."""
    if task.same_outputs or not is_binary(*task.after, *task.before):
        return 0.0
    changed = any((one != other).any() for one, other in zip(task.after, task.before, strict=True))
    return 0.0 if changed else 1.0 / units**2


def _linearised(value: float, variances: Sequence[float], dfs: Sequence[float], n: int, alpha: float) -> Change:
    total = sum(variances)
    if total <= 1e-28:
        return Change(Estimate(value, None, None, n, "linearised", Status.NO_INTERVAL, _NO_SPREAD), None)
    df = total**2 / sum(v**2 / df for v, df in zip(variances, dfs, strict=True))
    se = math.sqrt(total)
    reach = t_quantile(df, alpha) * se
    estimate = Estimate(value, value - reach, value + reach, n, "linearised", se=se, df=df)
    return Change(estimate, _p_from_spread(estimate))


def _of_rates(cells: Cells, *, n: int, alpha: float, groups: int | None = None) -> Change:
    limits = rate_difference_interval(cells, alpha=alpha)
    value = cells.student_rate - cells.teacher_rate
    z = rate_difference_statistic(cells, 0.0)
    method = "paired_score" if groups is None else "paired_score_bound"
    return Change(
        Estimate(value, limits.lo, limits.hi, n, method, n_clusters=groups), 2 * float(scipy.stats.norm.sf(abs(z)))
    )


def _of_means(differences: FloatArray, clusters: Labels | None, alpha: float) -> Change:
    moments = mean_covariance(differences, clusters=clusters)
    estimate = linear_estimate(moments, (1.0,), alpha=alpha)
    if estimate.se is None:
        return Change(estimate, None)
    if estimate.se**2 <= 1e-28 * float(np.square(differences).mean()):
        return Change(replace(estimate, lo=None, hi=None, status=Status.NO_INTERVAL, reason=_NO_SPREAD), None)
    return Change(estimate, _p_from_spread(estimate))


def _wider(robust: Change, independent: Change) -> Change:
    """Return the hull of two intervals around one value, and the larger p-value: both hold."""
    one, other = robust.estimate.interval, independent.estimate.interval
    if one is None or robust.p_value is None:
        return robust
    assert other is not None
    assert independent.p_value is not None
    hull = Interval(min(one.lo, other.lo), max(one.hi, other.hi))
    return Change(
        replace(robust.estimate, lo=hull.lo, hi=hull.hi, method="cluster_t_or_score"),
        max(robust.p_value, independent.p_value),
    )


def _p_from_spread(estimate: Estimate) -> float | None:
    if estimate.value is None or not estimate.se:
        return None
    t = abs(estimate.value) / estimate.se
    df = math.inf if estimate.df is None else estimate.df
    return 2 * float(scipy.stats.t.sf(t, df) if math.isfinite(df) else scipy.stats.norm.sf(t))


def p_of_interval(estimate: Estimate, alpha: float) -> float | None:
    """Return the two-sided p-value of 0 that is `alpha` exactly where the nearer limit of the interval is 0.

    Elsewhere it follows the normal distribution, or Student's t with the estimate's degrees of freedom.
    """
    if estimate.value is None or estimate.interval is None or not estimate.interval.bounded:
        return None
    lo, hi = estimate.interval.lo, estimate.interval.hi
    reach = estimate.value - lo if estimate.value > 0 else hi - estimate.value
    if reach == 0:
        return 1.0 if estimate.value == 0 else 0.0
    df = math.inf if estimate.df is None else estimate.df
    t = abs(estimate.value) / reach * t_quantile(df, alpha)
    return 2 * float(scipy.stats.t.sf(t, df) if math.isfinite(df) else scipy.stats.norm.sf(t))


def _logarithm(ratio: Estimate) -> Estimate:
    if ratio.value is None or ratio.value <= 0:
        return replace(ratio, value=None, lo=None, hi=None, reason=ratio.reason or "a ratio is not above 0")
    lo, hi = (None if x is None or x <= 0 else math.log(x) for x in (ratio.lo, ratio.hi))
    return replace(ratio, value=math.log(ratio.value), lo=lo, hi=hi)


def _open(estimate: Estimate) -> str | None:
    limits = estimate.interval
    if limits is None:
        return estimate.reason or "one of the two has no interval"
    return None if limits.bounded else "one of the two intervals is unbounded"


def _missing(after: Estimate, before: Estimate) -> str:
    return next(
        (each.reason for each in (after, before) if each.value is None and each.reason), "one side has no value"
    )


def _without(method: str, n: int, reason: str, status: Status = Status.UNDEFINED) -> Estimate:
    return Estimate(None, None, None, n, method, status, reason)
