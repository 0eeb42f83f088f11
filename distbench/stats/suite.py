"""Retention of one student over a suite of tasks, with an interval."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike

from distbench.stats.cells import Cells
from distbench.stats.clusters import Moments, mean_covariance
from distbench.stats.estimate import IDENTICAL, Estimate, Status, identical
from distbench.stats.fieller import ratio_of_means
from distbench.stats.samples import FloatArray, Labels, is_binary, paired

# A suite where more than this share of the tasks carries no signal is not the suite that was asked for.
MAX_LEFT_OUT = 0.20


@dataclass(frozen=True)
class SuiteTask:
    """One task of a suite: its own `retained`, and the `moments` of the mean scores (student, teacher), not centred.

    `best` below `baseline` marks a lower-is-better metric. For a corpus metric, take both from `bootstrap_moments`.
    """

    name: str
    estimate: Estimate
    moments: Moments
    baseline: float = 0.0
    best: float = 1.0
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.best == self.baseline:
            raise ValueError(f"task {self.name}: the best score equals the baseline {self.baseline}")
        if not (self.weight > 0 and math.isfinite(self.weight)):
            raise ValueError(f"task {self.name}: weight {self.weight} must be above 0")

    @property
    def same_outputs(self) -> bool:
        """Whether the student's outputs all equal the teacher's, as its estimate says."""
        return self.estimate.method == IDENTICAL


@dataclass(frozen=True)
class SuiteEstimate:
    """Retention of a suite, beside what the average hides: every task, the worst one, and the tasks left out."""

    estimate: Estimate
    tasks: dict[str, Estimate]
    left_out: tuple[str, ...]
    mean_of_ratios: float | None
    worst_task: str | None
    worst: float | None


def suite_task(
    name: str,
    student: ArrayLike,
    teacher: ArrayLike,
    *,
    estimate: Estimate,
    scale: tuple[float, float] = (0.0, 1.0),
    clusters: Labels | None = None,
    weight: float = 1.0,
) -> SuiteTask:
    """Return the task `name` from scores paired by sample, with its own `estimate` (`retained` or `identical`).

    `scale` is (baseline, best score); best below baseline means lower is better. Where binary scores never disagree,
    half a sample is moved to each discordant cell *for the covariance only*: equal correctness on n samples is not
    proof of a difference of exactly zero.
    """
    s, t = paired(student=student, teacher=teacher)
    moments = mean_covariance(s, t, clusters=clusters)
    never_discordant = is_binary(s, t) and Cells.from_scores(s, t).discordant == 0
    if never_discordant and estimate.method != IDENTICAL and moments.df >= 1:
        # Var(s̄ − t̄) = (p10 + p01)/units with p = 0.5/units each; spread evenly over both means.
        extra = 0.5 / (moments.df + 1) ** 2
        wider = [each + extra * np.eye(2) for each in moments.covariances]
        moments = replace(moments, covariance=wider[0], independent=wider[1] if len(wider) > 1 else None)
    return SuiteTask(name, estimate, moments, *scale, weight)


def retained_suite(tasks: Sequence[SuiteTask], *, alpha: float = 0.05) -> SuiteEstimate:
    """Return the ratio of macro means of normalised scores, Σw(s̄ − b)/(u − b) ÷ Σw(t̄ − b)/(u − b), over the tasks.

    Tasks are independent; the covariance of the two macro means is in closed form, the interval Fieller's with
    Satterthwaite's degrees of freedom. Clusters of a task never make it more certain than independent samples would
    (`Moments.dominating`). Tasks whose teacher shows no signal are left out and listed; when they are more
    than 20 % the status is LEFT_OUT, which no gate passes. Tasks with one sample are kept only without an interval.
    All outputs equal on every task give exactly [1, 1].

    Raises `ValueError` for no task and for two of one name.
    """
    names = [task.name for task in tasks]
    if not tasks or len(set(names)) < len(names):
        raise ValueError(f"a suite needs at least one task and distinct names, not {names}")
    kept = [task for task in tasks if task.same_outputs or task.estimate.status is not Status.NO_SIGNAL]
    estimate = _ratio(kept, alpha) if kept else _nothing(tasks)
    left_out = len(tasks) - len(kept)
    if kept and left_out > MAX_LEFT_OUT * len(tasks):
        reason = f"{left_out} of {len(tasks)} tasks carry no signal; at most {MAX_LEFT_OUT:.0%} may be left out"
        estimate = replace(estimate, status=Status.LEFT_OUT, reason=reason)
    return summarise_tasks(estimate, {task.name: task.estimate for task in tasks}, kept={task.name for task in kept})


def summarise_tasks(
    estimate: Estimate, tasks: Mapping[str, Estimate], *, kept: Container[str] | None = None
) -> SuiteEstimate:
    """Return the suite's `estimate` beside its tasks; `kept` are those that it covers (None: all with a signal)."""
    if kept is None:
        kept = {name for name, task in tasks.items() if task.status is not Status.NO_SIGNAL}
    judged = {name: task.value for name, task in tasks.items() if name in kept and task.value is not None}
    worst = min(judged, key=lambda name: judged[name]) if judged else None
    return SuiteEstimate(
        estimate=estimate,
        tasks=dict(tasks),
        left_out=tuple(name for name in tasks if name not in kept),
        mean_of_ratios=float(np.mean(list(judged.values()))) if judged else None,
        worst_task=worst,
        worst=None if worst is None else judged[worst],
    )


def _ratio(tasks: Sequence[SuiteTask], alpha: float) -> Estimate:
    n = sum(task.moments.n for task in tasks)
    if all(task.same_outputs for task in tasks):
        return identical(n)
    if len(tasks) == 1:
        return tasks[0].estimate  # the same ratio, with an interval that may know more than the covariance (score)
    factor = np.array([task.weight / (task.best - task.baseline) for task in tasks])
    means = np.array([task.moments.mean - task.baseline for task in tasks])
    mean = factor @ means
    covariances = np.array([f**2 * task.moments.dominating() for f, task in zip(factor, tasks, strict=True)])
    dfs = np.array([task.moments.df for task in tasks])
    total = covariances.sum(axis=0)
    ratio = mean[0] / mean[1] if mean[1] > 0 else 1.0
    df = min(_satterthwaite(covariances, dfs, np.array(w)) for w in ((1.0, -ratio), (0.0, 1.0)))
    moments = Moments(mean, total, df if (dfs >= 1).all() else 0.0, n)
    weights = np.array([task.weight for task in tasks])
    sizes = np.array([task.moments.n for task in tasks])
    units = np.array([task.moments.n_clusters or np.inf for task in tasks], dtype=np.float64)
    clustered = bool(np.isfinite(units).any())
    return replace(
        ratio_of_means(moments, alpha=alpha, method="fieller_suite"),
        n_clusters=sum(task.moments.n_clusters or task.moments.n for task in tasks) if clustered else None,
        # As many samples as would inform equally were all in one task: a huge task cannot hide a tiny one.
        n_effective=float(weights.sum() ** 2 / (weights**2 / sizes).sum()),
        clusters_effective=float(weights.sum() ** 2 / (weights**2 / np.minimum(units, sizes)).sum())
        if clustered
        else None,
    )


def _satterthwaite(covariances: FloatArray, dfs: FloatArray, contrast: FloatArray) -> float:
    parts = np.einsum("i,kij,j->k", contrast, covariances, contrast)
    spread = float(np.sum(parts**2 / np.maximum(dfs, 1.0)))
    return float(parts.sum() ** 2 / spread) if spread > 0 else float(dfs.sum())


def _nothing(tasks: Sequence[SuiteTask]) -> Estimate:
    n = sum(task.moments.n for task in tasks)
    return Estimate(None, None, None, n, "fieller_suite", Status.NO_SIGNAL, "no task carries a signal")
