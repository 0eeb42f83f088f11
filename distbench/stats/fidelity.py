"""Does the student answer as the teacher does, right or wrong? Reported, not gated."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from distbench.stats.cells import Cells
from distbench.stats.estimate import Estimate, Status
from distbench.stats.intervals import wilson
from distbench.stats.samples import codes

Answers = Sequence[Hashable] | NDArray[Any]


@dataclass(frozen=True)
class Flips:
    """Changes of correctness from teacher to student, each with a Wilson interval (Yan 2021, Dutta 2024).

    Rates are shares of all samples: `negative` teacher right and student wrong, `positive` the reverse.
    `retained_knowledge` is P(student right | teacher right), without a value where the teacher is never right.
    """

    negative: Estimate
    positive: Estimate
    retained_knowledge: Estimate


def proportion(k: float, n: float, *, alpha: float = 0.05) -> Estimate:
    """Return the share `k`/`n` with its Wilson interval; UNDEFINED, without a value, for n = 0."""
    if n == 0:
        return Estimate(None, None, None, 0, "wilson", Status.UNDEFINED, "no sample meets the condition")
    limits = wilson(k, n, alpha)
    return Estimate(k / n, limits.lo, limits.hi, round(n), "wilson")


def top1_agreement(student: Answers, teacher: Answers, *, alpha: float = 0.05) -> Estimate:
    """Return the share of samples where both give the same answer (Stanton 2021). Answers are labels, not scores."""
    same = _same(student, teacher)
    return proportion(sum(same), len(same), alpha=alpha)


def churn(student: Answers, teacher: Answers, *, alpha: float = 0.05) -> Estimate:
    """Return the share of samples where the answer changes, 1 − agreement (Milani Fard 2016)."""
    same = _same(student, teacher)
    return proportion(len(same) - sum(same), len(same), alpha=alpha)


def cohen_kappa(student: Answers, teacher: Answers) -> float | None:
    """Return Cohen's κ, agreement beyond chance; None where both give one same answer throughout (0 / 0)."""
    from sklearn.metrics import cohen_kappa_score

    n = len(_same(student, teacher))
    numbers, labels = codes("answers", [*student, *teacher], 2 * n)
    if len(labels) < 2:
        return None
    return float(cohen_kappa_score(numbers[:n], numbers[n:]))


def flips(cells: Cells, *, alpha: float = 0.05) -> Flips:
    """Return negative and positive flip rate and retained knowledge from the paired table of correctness."""
    return Flips(
        negative=proportion(cells.n10, cells.n, alpha=alpha),
        positive=proportion(cells.n01, cells.n, alpha=alpha),
        retained_knowledge=proportion(cells.n11, cells.n11 + cells.n10, alpha=alpha),
    )


def agreement_bounds(teacher_accuracy: float, student_accuracy: float) -> tuple[float, float]:
    """Return the least and greatest agreement *on correctness* that two accuracies allow (Fréchet).

    An internal check: flips can never be fewer than the difference of the accuracies. Raises `ValueError` outside [0,
    1].
    """
    t, s = teacher_accuracy, student_accuracy
    if not (0 <= t <= 1 and 0 <= s <= 1):
        raise ValueError(f"accuracies must lie in [0, 1], not {t} and {s}")
    return 1 - min(2 - t - s, t + s), 1 - abs(t - s)


def _same(student: Answers, teacher: Answers) -> list[bool]:
    if len(student) != len(teacher) or len(student) == 0:
        raise ValueError(f"answers must pair up: {len(student)} of the student, {len(teacher)} of the teacher")
    for name, answers in (("student", student), ("teacher", teacher)):
        for position, answer in enumerate(answers):
            if answer is None or (isinstance(answer, float) and math.isnan(answer)):
                raise ValueError(f"{name}[{position}] has no answer; leave the sample out or name the failure")
    return [bool(s == t) for s, t in zip(student, teacher, strict=True)]
