"""Calibration and selective prediction of both models on the same answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.estimates import missing, published
from distbench.compare.evidence import Evaluated
from distbench.compare.pairs import MIN_COVERAGE, Pair, pair
from distbench.schema.record import MetricFacts
from distbench.schema.result import Beside, Calibration, ReliabilityBin

COVERAGES = (0.5, 0.8, 0.9)
FEWEST = 30
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sure:
    """How sure one model was of each answer, and whether it was right (0/1)."""

    confidence: Floats
    right: Floats


def calibration(teacher: Evaluated, student: Evaluated, joined: Pair, alpha: float) -> tuple[Calibration | None, str]:
    """Return the calibration on a task, or why there is none; the reason is empty where no model stated how sure it is.

    A confidence is the probability of the *prediction*. A task may score several decisions (acc, acc_norm), so the
    metric must be one that calls exactly those answers right whose prediction is the label.
    """
    binary = [facts for facts in teacher.result.metrics if facts.kind == "binary" and facts.neutral is None]
    binary.sort(key=lambda facts: facts.name != joined.facts.name)
    stated = False
    for facts in binary:
        if student.facts(facts.name) is None:
            continue
        found = joined if facts.name == joined.facts.name else pair(teacher, student, facts)
        confidences = found.numbers("confidence")
        if confidences is None or found.invalid is not None:
            continue
        stated = True
        if not _scores_prediction(found):
            continue
        return _of(found, confidences, facts, alpha)
    reason = "the stated confidences are of answers that no 0/1 metric of this task scores, so none can be calibrated"
    return None, reason if stated else ""


def _scores_prediction(joined: Pair) -> bool:
    """Say whether right means: the prediction is the label."""
    (said_t, said_s), (label_t, label_s) = joined.hashes("prediction"), joined.hashes("label")
    one = 1.0 if joined.facts.higher_is_better else 0.0
    return all(
        bool((((said == label) == (score == one)) | failed).all())
        for said, label, score, failed in zip(
            (said_t, said_s), (label_t, label_s), (joined.teacher, joined.student), joined.failed, strict=True
        )
    )


def _of(
    joined: Pair, confidences: tuple[Floats, Floats], facts: MetricFacts, alpha: float
) -> tuple[Calibration | None, str]:
    known = np.isfinite(confidences[0]) & np.isfinite(confidences[1])
    answered = ~(joined.failed[0] | joined.failed[1])
    if known.sum() < max(FEWEST, MIN_COVERAGE * answered.sum()):
        return None, f"only {known.sum()} of {answered.sum()} answers state how sure the models are"
    if any(((each[known] < 0) | (each[known] > 1)).any() for each in confidences):
        return None, "a stated confidence lies outside [0, 1]"
    one = 1.0 if facts.higher_is_better else 0.0
    sides = [
        Sure(confidence[known], (score[known] == one).astype(np.float64))
        for confidence, score in zip(confidences, (joined.teacher, joined.student), strict=True)
    ]
    clusters = None if joined.clusters is None else joined.clusters[known]
    losses = [(each.confidence - each.right) ** 2 for each in sides]
    selective = [stats.selective_summary(each.confidence, each.right, coverages=COVERAGES) for each in sides]
    found = Calibration(
        metric=facts.name,
        n=int(known.sum()),
        brier=_less_is_better(losses[0], losses[1], clusters, alpha),
        nll=_nll(joined, known, clusters, alpha),
        ece=_shown(*(stats.expected_calibration_error(each.confidence, each.right) for each in sides)),
        ace=_shown(*(stats.adaptive_calibration_error(each.confidence, each.right) for each in sides)),
        aurc=_shown(*(each.aurc for each in selective)),
        accuracy_at={
            f"{coverage:g}": _shown(*(each.accuracy[k] for each in selective)) for k, coverage in enumerate(COVERAGES)
        },
        teacher_bins=_bins(sides[0]),
        student_bins=_bins(sides[1]),
    )
    return found, ""


def _shown(teacher: float, student: float) -> Beside:
    return Beside(teacher=teacher, student=student)


def _less_is_better(teacher: Floats, student: Floats, clusters: NDArray[np.intp] | None, alpha: float) -> Beside:
    change = stats.delta(student, teacher, higher_is_better=False, clusters=clusters, alpha=alpha)
    return Beside(teacher=float(teacher.mean()), student=float(student.mean()), delta=published(change))


def _nll(joined: Pair, known: NDArray[np.bool_], clusters: NDArray[np.intp] | None, alpha: float) -> Beside | None:
    """Return the mean −ln P(label); infinite where a label had probability 0, and then said so, never clipped."""
    columns = joined.numbers("label_probability")
    if columns is None:
        return None
    sides = [each[known] for each in columns]
    if any(not np.isfinite(each).all() or (each < 0).any() or (each > 1).any() for each in sides):
        return Beside(teacher=None, student=None, reason="some answers state no probability of the label")
    zeros = [int((each == 0).sum()) for each in sides]
    if any(zeros):
        why = f"infinite: the label had probability 0 on {zeros[0]} (teacher) and {zeros[1]} (student) items"
        means = [None if zero else float(-np.log(each).mean()) for each, zero in zip(sides, zeros, strict=True)]
        return Beside(teacher=means[0], student=means[1], delta=missing(why), reason=why)
    return _less_is_better(-np.log(sides[0]), -np.log(sides[1]), clusters, alpha)


def _bins(side: Sure) -> list[ReliabilityBin]:
    return [
        ReliabilityBin(lo=each.lo, hi=each.hi, n=each.n, confidence=each.confidence, accuracy=each.accuracy)
        for each in stats.reliability(side.confidence, side.right)
    ]
