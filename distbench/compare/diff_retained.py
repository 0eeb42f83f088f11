"""What changed in the share of its teacher that a student retains: on one task, and over all tasks."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.diff_scores import same_answers
from distbench.compare.evidence import Evaluated
from distbench.compare.pairs import has_worst, pair, primary_metric
from distbench.schema.diff import Basis
from distbench.schema.record import MetricFacts
from distbench.schema.result import Estimate, SuiteScore

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Four:
    """Student and teacher on one task, in A and in B."""

    student_a: Evaluated
    teacher_a: Evaluated
    student_b: Evaluated
    teacher_b: Evaluated


def twice(four: Four, weight: float) -> stats.RetainedTwice | None:
    """Return the samples that all four share; None where the task has no retention, or nothing is shared."""
    facts = primary_metric(four.student_a)
    if facts.kind == "ratio_of_sums" or facts.neutral is not None or facts.reference or not has_worst(facts):
        return None
    everyone = (four.student_b, four.teacher_b, four.student_a, four.teacher_a)
    if any(each.facts(facts.name) is None for each in everyone):
        return None
    scores, clusters = _common(everyone, facts)
    if not scores[0].size:
        return None
    whole = all(len(each.side(facts.name)) == scores[0].size for each in everyone)
    same = same_answers(four.student_a, four.student_b, whole=whole, equal=bool((scores[0] == scores[2]).all()))
    same &= same_answers(four.teacher_a, four.teacher_b, whole=whole, equal=bool((scores[1] == scores[3]).all()))
    return stats.RetainedTwice(
        after=(scores[0], scores[1]),
        before=(scores[2], scores[3]),
        scale=(facts.baseline, facts.best),
        clusters=clusters,
        weight=weight,
        same_outputs=same,
    )


def _common(everyone: tuple[Evaluated, ...], facts: MetricFacts) -> tuple[list[Floats], NDArray[np.intp] | None]:
    """Return each one's scores on the samples that all have, in one order; an error has the worst score."""
    first = everyone[0]
    places = np.arange(len(first.side(facts.name)))
    found = []
    for each in everyone:
        joined = pair(first, each, facts)
        mine = np.arange(len(joined.sides[0]))[joined.places[0]]
        found.append((mine, joined.student))
        places = np.intersect1d(places, mine, assume_unique=True)
    scores = [values[np.searchsorted(mine, places)] for mine, values in found]
    labels = first.side(facts.name).clusters
    return scores, None if labels is None else labels[places]


def over_all(tasks: dict[str, stats.RetainedTwice], alpha: float) -> stats.Change | None:
    """Return the change over tasks of which both runs hold the same samples; None where there is none."""
    return stats.retained_change(list(tasks.values()), alpha=alpha) if tasks else None


def from_documents(
    a: Estimate | None, b: Estimate | None, alphas: tuple[float, float], alpha: float
) -> tuple[stats.Change, Basis]:
    """Return the change of two published retained shares as if of unrelated samples."""
    if a is None or b is None or a.value is None or b.value is None:
        why = next((each.reason for each in (a, b) if each is not None and each.reason), "it is not in both runs")
        return stats.Change(_undefined(why), None), "none"
    if alphas[0] != alphas[1]:
        why = f"the intervals are at other levels: alpha is {alphas[0]:g} in A, {alphas[1]:g} in B"
        return stats.Change(_undefined(why), None), "none"
    return stats.independent_change(as_statistic(b), as_statistic(a), alpha=alpha), "independent"


def _undefined(reason: str) -> stats.Estimate:
    return stats.Estimate(None, None, None, 0, "none", stats.Status.UNDEFINED, reason)


def as_statistic(found: Estimate) -> stats.Estimate:
    """Return a published estimate as the statistics take it; what the document left open stays open."""
    return stats.Estimate(found.value, found.lo, found.hi, found.n, found.method, reason=found.reason)


def same_tasks(a: SuiteScore, b: SuiteScore, names: tuple[set[str], set[str]]) -> bool:
    """Say whether the retention over all tasks is over the same ones in both runs."""
    return names[0] == names[1] and set(a.left_out) == set(b.left_out)
