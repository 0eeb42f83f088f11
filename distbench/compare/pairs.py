"""Join teacher and student sample by sample, and say when the comparison is not valid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from distbench.compare.evidence import Evaluated
from distbench.compare.lengths import lengths_not_run
from distbench.compare.sides import ERROR, NOT_RUN, Side
from distbench.schema.record import MetricFacts

MIN_COVERAGE = 0.99
Places: TypeAlias = slice | NDArray[np.int64]  # a slice where nothing moves: a view costs no memory
Both: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True)
class Pair:
    """Two models on the same samples under one metric; `places` says where each joined sample lies on its side.

    `teacher` and `student` are scores, an error scoring as the worst; `invalid` says what is wrong, and `broken` the
    same where no joined sample can be trusted either (not where only too few are there). `ahead`: one model was asked
    more than the other, in a growing task.
    """

    task: str
    facts: MetricFacts
    sides: tuple[Side, Side]
    places: tuple[Places, Places]
    teacher: NDArray[np.float64]
    student: NDArray[np.float64]
    errors: int
    invalid: str | None
    same_outputs: bool
    broken: str | None = None
    ahead: bool = False

    @property
    def n(self) -> int:
        """Number of joined samples."""
        return int(self.teacher.size)

    @property
    def clusters(self) -> NDArray[np.intp] | None:
        """Cluster numbers, or None where the samples are independent."""
        labels = self.sides[0].clusters
        return None if labels is None else labels[self.places[0]]

    def numbers(self, name: str) -> Both | None:
        """Return an optional column of both sides, NaN where a record has no value; None where a side has none."""
        columns = [each.numbers.get(name) for each in self.sides]
        if columns[0] is None or columns[1] is None:
            return None
        return columns[0][self.places[0]], columns[1][self.places[1]]

    def hashes(self, name: str) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Return the text hashes `prediction` or `label` of both sides."""
        left, right = (getattr(each, name)[at] for each, at in zip(self.sides, self.places, strict=True))
        return left, right

    @cached_property
    def failed(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which answers crashed, timed out or could not be parsed."""
        left, right = (each.status[at] == ERROR for each, at in zip(self.sides, self.places, strict=True))
        return left, right


def primary_metric(evaluated: Evaluated) -> MetricFacts:
    """Return the metric that is compared; what speaks of student against teacher has no other side to compare with."""
    metrics = [m for m in evaluated.result.metrics if not m.reference] or evaluated.result.metrics
    return next((m for m in metrics if m.primary), metrics[0])


def has_worst(facts: MetricFacts) -> bool:
    """Say whether there is a worst score that a crashed answer could get.

    A bias rate has none (a crash is not biased), nor has a ratio of sums without a chance level (bits per byte).
    """
    if facts.neutral is not None:
        return False
    return facts.kind != "ratio_of_sums" or has_chance(facts)


def has_chance(facts: MetricFacts) -> bool:
    """Say whether a ratio of sums has a chance level to correct by: the baseline is worse than the best."""
    return facts.baseline < facts.best if facts.higher_is_better else facts.baseline > facts.best


def pair(teacher: Evaluated, student: Evaluated, facts: MetricFacts) -> Pair:
    """Join on the sample id. An error scores as the worst and is counted; what was not run on a side is dropped.

    Where a metric has no worst score, an error is dropped like a sample that was not run: coverage still counts it.
    """
    sides = teacher.side(facts.name), student.side(facts.name)
    places = _aligned(*sides)
    status = [each.status[at] for each, at in zip(sides, places, strict=True)]
    errors = int(sum((each == ERROR).sum() for each in status))
    least = NOT_RUN if has_worst(facts) else ERROR  # statuses are ordered: ok, error, not run
    usable = (status[0] < least) & (status[1] < least)
    if not usable.all():
        every = np.arange(usable.size)
        left, right = (every[at] if isinstance(at, slice) else at for at in places)
        places = left[usable], right[usable]
    worst = _worst(facts)
    scores = []
    for each, at in zip(sides, places, strict=True):
        score, failed = each.score[at], each.status[at] == ERROR
        scores.append(np.where(failed, worst, score) if failed.any() else score)
    stops = [each.result.drawn.stop if each.result.drawn else None for each in (teacher, student)]
    ahead = stops[0] != stops[1]
    broken = _broken(teacher, student, scores) or _scaleless(facts)
    return Pair(
        task=teacher.cell.task.title,
        facts=facts,
        sides=sides,
        places=places,
        teacher=scores[0],
        student=scores[1],
        errors=errors,
        invalid=broken or _uncovered(sides, (teacher, student), len(scores[0]), ahead=ahead),
        same_outputs=teacher.result.answers_digest == student.result.answers_digest,
        broken=broken,
        ahead=ahead,
    )


def covered(answered: int, asked: tuple[int, int], *, ahead: bool) -> tuple[bool, int]:
    """Say whether enough samples were answered by both, and how many should have been.

    `asked` counts them by side; a growing teacher may be `ahead` of one of its students.
    """
    total = min(asked) if ahead else max(asked)
    return total > 0 and answered >= MIN_COVERAGE * total, total


def _aligned(left: Side, right: Side) -> tuple[Places, Places]:
    """Return where the common samples lie on each side, in the order of the left one."""
    import pyarrow.compute as pc

    if left.ids.equals(right.ids):
        return slice(None), slice(None)
    found: Any = pc.index_in(left.ids, value_set=right.ids)
    at = found.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    common = np.flatnonzero(at >= 0)
    return common, at[common]


def _worst(facts: MetricFacts) -> float:
    return min(0.0, facts.baseline) if facts.higher_is_better else max(1.0, facts.baseline)


def _uncovered(
    sides: tuple[Side, Side], files: tuple[Evaluated, Evaluated], answered: int, *, ahead: bool
) -> str | None:
    enough, total = covered(answered, (len(sides[0]), len(sides[1])), ahead=ahead)
    if enough:
        return None
    why = lengths_not_run(sides, files)
    return f"only {answered} of {total} samples were answered by both" + (f"; {why}" if why else "")


def _broken(teacher: Evaluated, student: Evaluated, scores: list[NDArray[np.float64]]) -> str | None:
    if teacher.result.task_version != student.result.task_version:
        return f"task versions differ: {teacher.result.task_version} and {student.result.task_version}"
    if teacher.result.data_digest != student.result.data_digest:
        return "the data differs between teacher and student"
    if teacher.result.prompt_digest != student.result.prompt_digest:
        return "the prompts differ between teacher and student"
    if not all(np.isfinite(score).all() for score in scores):
        return "a score is not a finite number although its sample is marked ok"
    return None


def _scaleless(facts: MetricFacts) -> str | None:
    if facts.kind == "ratio_of_sums" or facts.reference or facts.best != facts.baseline:
        return None
    return f"the best score is that of chance, {facts.best:g}: nothing can be retained"


def common_rows(one: Pair, other: Pair) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return where the samples that two pairs with one teacher share lie in each of them."""
    total = len(one.sides[0])
    every = np.arange(total)
    left, right = (every[pair.places[0]] for pair in (one, other))
    _, first, second = np.intersect1d(left, right, assume_unique=True, return_indices=True)
    return first, second
