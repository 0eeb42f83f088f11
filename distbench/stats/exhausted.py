"""The last look, at all samples there are: the fixed-size interval, and how it joins the one bet along the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from distbench.stats.betting import BETTING, BETTING_AND_FIXED
from distbench.stats.estimate import IDENTICAL, Estimate, Status, identical
from distbench.stats.gate import below_floor
from distbench.stats.retained import retained
from distbench.stats.significance import margin_test
from distbench.stats.stream import GrowingTask
from distbench.stats.suite import SuiteEstimate, retained_suite, suite_task


@dataclass(frozen=True)
class FixedTask:
    """What all samples of a task say at once; `p_below` is None where the fixed-size interval may not decide."""

    estimate: Estimate
    p_below: float | None


def fixed_task(task: GrowingTask, *, alpha: float) -> FixedTask:
    """Return R of `task` with its fixed-size interval at two-sided `alpha`, and the p-value of H: R ≥ floor."""
    if task.invalid is not None:
        return FixedTask(Estimate(None, None, None, task.n, "none", Status.INVALID, task.invalid), None)
    baseline, up = task.scale[0], task.higher_is_better
    estimate = retained(
        task.student, task.teacher, baseline=baseline, higher_is_better=up, clusters=task.clusters, alpha=alpha
    )
    if task.same_outputs and estimate.status is not Status.NO_SIGNAL:
        return FixedTask(identical(task.n), None)
    if estimate.interval is None or below_floor(estimate) is not None:
        return FixedTask(estimate, None)
    test = margin_test(
        task.student,
        task.teacher,
        margin=task.floor,
        baseline=baseline,
        higher_is_better=up,
        clusters=task.clusters,
    )
    return FixedTask(estimate, None if test is None else test.p_below)


def fixed_suite(tasks: Sequence[GrowingTask], estimates: Mapping[str, Estimate], *, alpha: float) -> SuiteEstimate:
    """Return the suite's retention with its fixed-size interval at two-sided `alpha`, over the tasks with a signal."""
    parts = [
        suite_task(
            task.name,
            task.student,
            task.teacher,
            estimate=estimates[task.name],
            scale=task.scale,
            clusters=task.clusters,
            weight=task.weight,
        )
        for task in tasks
    ]
    return retained_suite(parts, alpha=alpha)


def meet(growing: Estimate, fixed: Estimate) -> Estimate:
    """Return the intersection of an interval bet along the looks with a fixed-size one of the same quantity.

    By the union bound it holds at the sum of their α. Where only one of them can decide it stands alone.
    """
    # A fixed-size suite of one task is that task's estimate, which may be no more than what was bet.
    if fixed.status is not Status.OK or fixed.method == BETTING or IDENTICAL in (fixed.method, growing.method):
        return growing if growing.status is Status.OK and fixed.status is not Status.INVALID else fixed
    if growing.status is not Status.OK:
        return fixed
    if below_floor(fixed) is not None or fixed.interval is None or growing.interval is None:
        return growing
    lo, hi = max(growing.interval.lo, fixed.interval.lo), min(growing.interval.hi, fixed.interval.hi)
    if lo > hi:
        why = "the interval along the looks and that of all samples do not meet; are the samples in random order?"
        return replace(fixed, lo=None, hi=None, method=BETTING_AND_FIXED, status=Status.NO_INTERVAL, reason=why)
    return replace(fixed, lo=lo, hi=hi, method=BETTING_AND_FIXED, se=None, df=None)
