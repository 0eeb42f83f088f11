"""One task of a growing suite, and its scores as streams of equal units to bet on."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distbench.stats.betting import Ledger, join
from distbench.stats.samples import FloatArray, IntArray, codes, paired


@dataclass(frozen=True)
class ClusterPlan:
    """What must be known of a task's clusters before any score: how many there will be, and the size of the largest."""

    n_clusters: int
    largest: int


@dataclass(frozen=True, eq=False)
class GrowingTask:
    """A task whose samples arrive in a seeded random order; `student` and `teacher` hold the scores so far, paired.

    `total` is the number of samples that there will be. `scale` is (baseline, best score), best below baseline where
    lower is better; `bounds` is the range that no score can leave, without which nothing can be said about samples not
    seen. A clustered task has the `clusters` of its samples so far, whole clusters one after the other, and a
    `cluster_plan`. `same_outputs` says that all outputs of the *whole* task are known to be the teacher's; `invalid`
    why the comparison is not valid.

    Raises `ValueError` for what does not fit together, and for a score outside `bounds`.
    """

    name: str
    student: ArrayLike
    teacher: ArrayLike
    total: int
    scale: tuple[float, float] = (0.0, 1.0)
    bounds: tuple[float, float] = (0.0, 1.0)
    floor: float = 0.9
    weight: float = 1.0
    clusters: Sequence[Hashable] | None = None
    cluster_plan: ClusterPlan | None = None
    same_outputs: bool = False
    invalid: str | None = None

    def __post_init__(self) -> None:
        scores = paired(student=self.student, teacher=self.teacher)
        for side, values in zip(("student", "teacher"), scores, strict=True):
            object.__setattr__(self, side, values)
        self._check_numbers()
        low, high = self.bounds
        extremes = [float(f(values)) for values in scores for f in (np.min, np.max)]
        outside = [x for x in extremes if not low <= x <= high]
        if outside:
            raise ValueError(
                f"task {self.name}: score {outside[0]} lies outside the possible range {low:g} to {high:g}"
            )
        if scores[0].size > self.total:
            raise ValueError(f"task {self.name}: {scores[0].size} samples, but only {self.total} were announced")
        if (self.clusters is None) != (self.cluster_plan is None):
            raise ValueError(f"task {self.name}: clusters and cluster_plan belong together")

    def _check_numbers(self) -> None:
        numbers = (*self.scale, *self.bounds, self.floor, self.weight)
        if not all(map(math.isfinite, numbers)) or self.scale[0] == self.scale[1] or not self.weight > 0:
            raise ValueError(
                f"task {self.name}: scale {self.scale}, floor {self.floor}, weight {self.weight} will not do"
            )
        if not self.bounds[0] < self.bounds[1]:
            raise ValueError(f"task {self.name}: the possible range of a score runs upwards, not {self.bounds}")

    @property
    def higher_is_better(self) -> bool:
        """Whether the best score is above the baseline."""
        return self.scale[1] > self.scale[0]

    @property
    def planned_units(self) -> int:
        """Number of samples, or clusters, that there will be."""
        return self.total if self.cluster_plan is None else self.cluster_plan.n_clusters

    @property
    def n(self) -> int:
        """Number of samples so far."""
        return int(np.size(self.student))


@dataclass(frozen=True, eq=False)
class Units:
    """Samples or clusters of one task in their order: the `kind` of each, what a kind shows, and where each ends.

    `x` and `y` of a kind are Σ(score − baseline) of student and teacher over the unit, + being better; `ends[i]` is the
    number of samples up to and including unit i. `extremes` is the possible (lowest x, highest x, lowest y, highest y)
    of a unit, and `size` the mean number of samples in one.
    """

    kind: IntArray
    x: FloatArray
    y: FloatArray
    ends: IntArray
    extremes: FloatArray
    planned: int
    size: float

    def within(self, samples: int) -> int:
        """Return how many units are complete within the first `samples` samples."""
        return int(np.searchsorted(self.ends, samples, side="right"))


def units_of(task: GrowingTask) -> Units:
    """Return the units of `task`. Raises `ValueError` for clusters that are torn apart, too large or too many."""
    sign = 1.0 if task.higher_is_better else -1.0
    baseline = task.scale[0]
    low, high = sorted(sign * (bound - baseline) for bound in task.bounds)
    excess = [sign * (np.asarray(scores) - baseline) for scores in (task.student, task.teacher)]
    ends, largest = np.arange(1, task.n + 1), 1
    if task.clusters is not None and task.cluster_plan is not None:
        ends, largest = _cluster_ends(task, task.clusters, task.cluster_plan), task.cluster_plan.largest
        excess = [np.add.reduceat(values, np.concatenate([[0], ends[:-1]])) for values in excess]
    pairs, kind = np.unique(excess[0] + 1j * excess[1], return_inverse=True)
    # A cluster may have any size from 1 to the largest; where b lies outside the bounds, the smallest reaches further.
    reach = [min(low, low * largest), max(high, high * largest)]
    extremes = np.array([*reach, *reach])
    size = task.total / task.planned_units
    return Units(kind, pairs.real.copy(), pairs.imag.copy(), ends, extremes, task.planned_units, size)


def task_ledger(units: Units, looks: Sequence[int]) -> Ledger:
    """Return the ledger of one task by itself; `looks` are numbers of samples."""
    return _stream(units, [slice(0, units.within(n)) for n in looks], stake=1.0, planned=units.planned)


def suite_ledger(tasks: Sequence[tuple[Units, float]], looks: Sequence[Sequence[int]], *, rounds: int) -> Ledger:
    """Return the ledger of the macro mean over `tasks` of (units, weight ÷ span); `looks[l][k]` are numbers of samples.

    A round takes a consecutive group of every task's units; groups of one task differ in size by one at most. A unit is
    staked with its task's weight ÷ (size of its group), so that every round says the same about the macro mean. Only
    rounds that are complete in every task count.
    """
    borders = [np.arange(1, rounds + 1) * units.planned // rounds for units, _ in tasks]
    complete = [
        min(
            int(np.searchsorted(border, units.within(n), side="right"))
            for border, (units, _), n in zip(borders, tasks, look, strict=True)
        )
        for look in looks
    ]
    streams = []
    for (units, weight), border in zip(tasks, borders, strict=True):
        sizes = np.diff(border, prepend=0)
        group = np.repeat(sizes, sizes)[: units.kind.size]  # for every unit so far, the size of its group
        ends = [0 if done == 0 else int(border[done - 1]) for done in complete]
        for size in np.unique(sizes):
            stake = weight / (float(size) * units.size)
            seen = [np.flatnonzero(group[:end] == size) for end in ends]
            streams.append(_stream(units, seen, stake=stake, planned=int(size * (sizes == size).sum())))
    return join(streams)


def _stream(units: Units, seen: Sequence[slice | IntArray], *, stake: float, planned: int) -> Ledger:
    """Return the ledger of the units in `seen`, by look. It knows nothing of the units after the last look."""
    counts = np.array([np.bincount(units.kind[part], minlength=units.x.size) for part in seen], dtype=np.float64)
    kinds = np.flatnonzero(counts[-1])
    return Ledger(
        x=stake * units.x[kinds],
        y=stake * units.y[kinds],
        counts=counts[:, kinds],
        ranges=stake * units.extremes[None, :],
        planned=np.array([float(planned)]),
    )


def _cluster_ends(task: GrowingTask, labels: Sequence[Hashable], plan: ClusterPlan) -> IntArray:
    numbers, distinct = codes("clusters", labels, task.n)
    if (np.diff(numbers) < 0).any():  # numbered as they appear, so a fall is a cluster that comes back
        raise ValueError(f"task {task.name}: the samples of a cluster must follow one another")
    sizes = np.bincount(numbers)
    if sizes.max() > plan.largest or len(distinct) > plan.n_clusters:
        raise ValueError(
            f"task {task.name}: {len(distinct)} clusters of up to {sizes.max()} samples, "
            f"but {plan.n_clusters} of up to {plan.largest} were announced"
        )
    return np.cumsum(sizes)
