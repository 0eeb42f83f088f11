"""Did the teacher help? The share of the gap between control and teacher that the distilled student closed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from distbench import stats
from distbench.compare.estimates import published
from distbench.compare.pairs import common_rows
from distbench.compare.tasks import Compared
from distbench.schema.result import Estimate


def suite_gap(compared: Sequence[Compared], alpha: float) -> Estimate | None:
    """Return the gap recovered over all tasks that have a retention, each task weighing the same.

    Samples are scaled so that their mean is the macro mean of normalised scores; the differences between tasks then
    count as spread, so the interval errs on the wide side. Items that share a template stay one cluster; no two tasks
    share one.
    """
    usable = [
        (c.pair, c.control)
        for c in compared
        if c.part is not None and c.control is not None and c.pair.invalid is None and c.control.invalid is None
    ]
    if not usable:
        return None
    columns: list[NDArray[np.float64]] = []
    labels: list[NDArray[np.intp]] = []
    total = sum(student.n for student, _ in usable)
    for student, control in usable:
        facts = student.facts
        here, there = common_rows(student, control)
        factor = total / (len(usable) * len(here) * (facts.best - facts.baseline))
        scores = student.teacher[here], student.student[here], control.student[there]
        columns.append(factor * (np.stack(scores) - facts.baseline))
        own = np.arange(len(here)) if student.clusters is None else student.clusters[here]
        labels.append(np.unique(own, return_inverse=True)[1] + sum(len(np.unique(each)) for each in labels))
    teacher, student_scores, control_scores = np.concatenate(columns, axis=1)
    clusters = None if all(student.clusters is None for student, _ in usable) else np.concatenate(labels)
    return published(stats.gap_recovered(teacher, student_scores, control_scores, clusters=clusters, alpha=alpha))
