"""Ratios of sums: bits per byte, word error rate. The paired difference counts; a chance level may exist as well."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.pairs import Pair, has_chance
from distbench.stats import Estimate, Status

PER_BYTE = "bits_per_byte"
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """Both sides of a ratio of sums. `delta` is oriented: + means the student is better.

    `retained` has a value only where there is a chance level (a word error rate of 1 for an empty transcript);
    `p_below` is the p-value of the opposite of "at least the floor".
    """

    teacher: float | None
    student: float | None
    delta: Estimate
    retained: Estimate
    p_below: float | None
    byte_perplexity_ratio: Estimate | None
    invalid: str | None


def is_per_byte(name: str) -> bool:
    """Say whether a metric is bits per byte, under any filter."""
    return name.split(",", maxsplit=1)[0] == PER_BYTE


def ratio(joined: Pair, floor: float, alpha: float) -> Ratio:
    """Compare two ratios of sums over the same documents, whose denominators must be the same on both sides."""
    found = sums(joined)
    if isinstance(found, str):
        none = Estimate(None, None, None, joined.n, "none", Status.INVALID, found)
        return Ratio(None, None, none, none, None, none if is_per_byte(joined.facts.name) else None, found)
    teacher, student, weight = found
    facts, clusters = joined.facts, joined.clusters
    sign = 1.0 if facts.higher_is_better else -1.0
    total = float(weight.sum())
    delta = ratio_of_sums(sign * (student - teacher), weight, clusters, alpha)
    if joined.same_outputs:
        delta = Estimate(0.0, 0.0, 0.0, joined.n, stats.IDENTICAL)
    retained = Estimate(
        None, None, None, joined.n, "none", Status.UNDEFINED,
        f"{facts.name} has no chance level; read the difference (+ is better)",
    )  # fmt: skip
    p_below = None
    if has_chance(facts):
        centred = [each - facts.baseline * weight for each in (student, teacher)]
        test = stats.contrast_test(*centred, margin=floor, higher_is_better=facts.higher_is_better, clusters=clusters)
        p_below = None if test is None else test.p_below
        retained = stats.retained_ratio_of_sums(
            student, teacher, weight, baseline=facts.baseline, higher_is_better=facts.higher_is_better,
            clusters=clusters, alpha=alpha,
        )  # fmt: skip
    perplexity = None
    if is_per_byte(facts.name):
        nats = [-math.log(2) * each for each in (student, teacher)]
        perplexity = stats.byte_perplexity_ratio(nats[0], nats[1], weight, clusters=clusters, alpha=alpha)
    return Ratio(float(teacher.sum()) / total, float(student.sum()) / total, delta, retained, p_below, perplexity, None)


def ratio_of_sums(above: Floats, below: Floats, clusters: NDArray[np.intp] | None, alpha: float) -> Estimate:
    """Return Σ `above` / Σ `below` with Fieller's interval over documents; `below` is a count, so the value exists."""
    moments = stats.mean_covariance(above, below, clusters=clusters)
    unbounded = (Status.NO_INTERVAL, "too few documents, or too unequal in length, for an interval")
    found = stats.ratio_of_means(moments, alpha=alpha, empty=unbounded)
    if found.value is not None:
        return found
    value = float(moments.mean[0] / moments.mean[1])
    return Estimate(value, None, None, found.n, found.method, found.status, found.reason, n_clusters=found.n_clusters)


def sums(joined: Pair) -> tuple[Floats, Floats, Floats] | str:
    """Return (teacher's numerators, student's, common denominators), or what is wrong with them."""
    if joined.invalid is not None:
        return joined.invalid
    above, below = joined.numbers("numerator"), joined.numbers("denominator")
    if above is None or below is None or not joined.n:
        return "the samples have no numerators and denominators"
    weight = np.where(np.isfinite(below[0]), below[0], below[1])
    # A crashed answer has the worst ratio, whatever it managed to write down.
    sides = [
        np.where(failed, joined.facts.baseline * weight, each)
        for each, failed in zip(above, joined.failed, strict=True)
    ]
    both = np.isfinite(below[0]) & np.isfinite(below[1])
    if (below[0][both] != below[1][both]).any():
        return "the denominators differ between teacher and student: they did not see the same documents"
    if not all(np.isfinite(each).all() for each in (*sides, weight)):
        return "a numerator or denominator is not a finite number although its sample is marked ok"
    if (weight < 0).any() or not weight.sum() > 0:
        return "the denominators are not positive"
    return sides[0], sides[1], weight
