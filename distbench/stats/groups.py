"""Retention by group: an average may hide the group that pays for the compression."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from distbench.stats.estimate import Estimate
from distbench.stats.retained import retained, retained_from_means
from distbench.stats.samples import Labels, codes, paired

# A group smaller than this is listed, not judged.
MIN_GROUP = 30


@dataclass(frozen=True)
class GroupReport:
    """`retained` of each group; the worst among the judged ones with a value; growth of the gap between groups.

    `gap_growth` = (max − min of the student's group means) − (the same of the teacher), over judged groups, in the
    unit of the scores; above 0 the student treats groups less alike. None for fewer than two judged groups.
    """

    retained: dict[Hashable, Estimate]
    judged: tuple[Hashable, ...]
    worst_group: Hashable | None
    worst: float | None
    gap_growth: float | None


def group_report(
    student: ArrayLike,
    teacher: ArrayLike,
    groups: Labels,
    *,
    baseline: float = 0.0,
    higher_is_better: bool = True,
    clusters: Labels | None = None,
    alpha: float = 0.05,
) -> GroupReport:
    """Return retention by group from scores paired by sample; groups of fewer than 30 samples are listed, not judged.

    Intervals are per group at `alpha`: correct for their number (Holm, `decide_suite`) before a group may FAIL a gate.
    """
    s, t = paired(student=student, teacher=teacher)
    member, names = codes("groups", groups, s.size)
    unit = None if clusters is None else codes("clusters", clusters, s.size)[0]
    estimates: dict[Hashable, Estimate] = {}
    means: dict[Hashable, tuple[float, float]] = {}
    for number, name in enumerate(names):
        mask = member == number
        estimates[name] = retained(
            s[mask],
            t[mask],
            baseline=baseline,
            higher_is_better=higher_is_better,
            clusters=None if unit is None else unit[mask],
            alpha=alpha,
        )
        if mask.sum() >= MIN_GROUP:
            means[name] = (float(s[mask].mean()), float(t[mask].mean()))
    return _report(estimates, means)


def group_report_from_means(
    student: Mapping[str, float], teacher: Mapping[str, float], *, baseline: float = 0.0, higher_is_better: bool = True
) -> GroupReport:
    """Return retention by group from mean scores; all groups are judged, none has an interval.

    Raises `ValueError` where the two models were not scored on the same groups.
    """
    if student.keys() != teacher.keys() or not teacher:
        raise ValueError(f"groups differ: student {sorted(student)}, teacher {sorted(teacher)}")
    estimates: dict[Hashable, Estimate] = {
        name: retained_from_means(student[name], teacher[name], baseline=baseline, higher_is_better=higher_is_better)
        for name in teacher
    }
    return _report(estimates, {name: (student[name], teacher[name]) for name in teacher})


def _report(estimates: dict[Hashable, Estimate], means: Mapping[Hashable, tuple[float, float]]) -> GroupReport:
    values = {name: value for name in means if (value := estimates[name].value) is not None}
    worst = min(values, key=lambda name: values[name]) if values else None
    growth = None
    if len(means) >= 2:
        student_gap, teacher_gap = np.ptp(np.array(list(means.values())), axis=0)
        growth = float(student_gap - teacher_gap)
    return GroupReport(estimates, tuple(means), worst, None if worst is None else values[worst], growth)
