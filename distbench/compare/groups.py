"""Retention by subgroup: an average may hide the group that pays for the compression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.estimates import missing, published
from distbench.compare.pairs import Pair
from distbench.schema.result import GroupDimension, GroupResult, Verdict

MOST_GROUPS = 200  # a dimension with more values than this names items, not groups


@dataclass(frozen=True)
class Grouped:
    """The groups of one task, and the claim "retains at least the floor" of each judged one."""

    dimensions: list[GroupDimension]
    claims: list[stats.Claim]


def grouped(joined: Pair, floor: float, alpha: float) -> Grouped:
    """Return the groups of every dimension. FAIL needs the p-value after Holm over the groups of the dimension."""
    if joined.invalid is not None or joined.sides[0].groups is None:
        return Grouped([], [])
    numbers, combinations = joined.sides[0].groups
    here = numbers[joined.places[0]]
    names = list(dict.fromkeys(name for each in combinations for name in each))
    found = [_dimension(joined, name, *_members(name, here, combinations), floor=floor, alpha=alpha) for name in names]
    return Grouped([dimension for dimension, _ in found], [claim for _, claims in found for claim in claims])


def _members(
    dimension: str, numbers: NDArray[np.intp], combinations: list[dict[str, str]]
) -> tuple[NDArray[np.intp], list[str]]:
    """Return each sample's group (−1: the sample is in none) and the groups' names, sorted."""
    values = sorted({each[dimension] for each in combinations if dimension in each})
    place = {value: number for number, value in enumerate(values)}
    table = [place[each[dimension]] if dimension in each else -1 for each in combinations]
    return np.array([*table, -1])[numbers], values  # a sample without groups has number −1: the last entry


def _dimension(
    joined: Pair, name: str, member: NDArray[np.intp], values: list[str], *, floor: float, alpha: float
) -> tuple[GroupDimension, list[stats.Claim]]:
    if len(values) > MOST_GROUPS:
        reason = f"{len(values)} values: more than {MOST_GROUPS} are no groups"
        return GroupDimension(dimension=name, floor=floor, groups=[], reason=reason), []
    kept = member >= 0
    facts, clusters = joined.facts, joined.clusters
    report = stats.group_report(
        joined.student[kept], joined.teacher[kept], member[kept], baseline=facts.baseline,
        higher_is_better=facts.higher_is_better, clusters=None if clusters is None else clusters[kept], alpha=alpha,
    )  # fmt: skip
    rows, claims = [], []
    for number, value in enumerate(values):
        mask = member == number
        if not mask.any():
            continue
        estimate = report.retained[number]
        if joined.same_outputs and estimate.status is not stats.Status.NO_SIGNAL:
            estimate = stats.identical(int(mask.sum()))
        judged = number in report.judged and estimate.value is not None
        if judged:
            claims.append(_claim(joined, f"{joined.task} {name}={value}", mask, estimate, floor))
        rows.append(_row(joined, value, mask, estimate, judged=judged))
    verdicts = iter(judge(claims, alpha))
    rows = [
        row.model_copy(update=dict(zip(("verdict", "reason"), next(verdicts), strict=True))) if row.judged else row
        for row in rows
    ]
    return _summary(name, rows, report.gap_growth, floor), claims


def _claim(joined: Pair, name: str, mask: NDArray[np.bool_], estimate: stats.Estimate, floor: float) -> stats.Claim:
    clusters = joined.clusters
    test = stats.margin_test(
        joined.student[mask], joined.teacher[mask], margin=floor, baseline=joined.facts.baseline,
        higher_is_better=joined.facts.higher_is_better, clusters=None if clusters is None else clusters[mask],
    )  # fmt: skip
    return stats.Claim(name, estimate, floor, p_below=None if test is None else test.p_below)


def judge(claims: Sequence[stats.Claim], alpha: float, noun: str = "groups") -> list[tuple[Verdict, str]]:
    """Return each claim's verdict and reason: FAIL only where its p-value stands after Holm over all `claims`."""
    adjusted = stats.adjust_p_values([claim.p_below for claim in claims])
    found: list[tuple[Verdict, str]] = []
    for claim, p in zip(claims, adjusted, strict=True):
        decision = stats.decide(claim.estimate, claim.margin)
        if decision.verdict is stats.Verdict.FAIL and (p is None or p > alpha / 2):
            found.append(("INCONCLUSIVE", f"{decision.reason}, but not after Holm over {len(claims)} {noun}"))
        else:
            found.append((decision.verdict.value, decision.reason))
    return found


def _row(joined: Pair, value: str, mask: NDArray[np.bool_], estimate: stats.Estimate, *, judged: bool) -> GroupResult:
    n = int(mask.sum())
    small = f"fewer than {stats.MIN_GROUP} samples: listed, not judged"
    reason = None if judged else estimate.reason if n >= stats.MIN_GROUP else small
    return GroupResult(
        group=value, n=n, teacher=float(joined.teacher[mask].mean()), student=float(joined.student[mask].mean()),
        retained=published(estimate), judged=judged, reason=reason,
    )  # fmt: skip


def _summary(name: str, rows: list[GroupResult], growth: float | None, floor: float) -> GroupDimension:
    judged = [row for row in rows if row.judged]
    worst = min(judged, key=lambda row: row.retained.value or 0.0, default=None)
    why = f"no group of {stats.MIN_GROUP} samples or more has a retained share"
    return GroupDimension(
        dimension=name,
        floor=floor,
        groups=rows,
        worst_group=worst.group if worst else None,
        worst_group_retained=worst.retained if worst else missing(why),
        gap_growth=growth,
        reason=None if worst else why,
    )
