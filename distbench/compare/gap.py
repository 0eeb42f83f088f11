"""Did the teacher help? The share of the gap between control and teacher that the distilled student closed."""

from __future__ import annotations

import numpy as np

from distbench import stats
from distbench.compare.estimates import published
from distbench.compare.pairs import Pair
from distbench.schema.result import Estimate


def suite_gap(pairs: list[tuple[Pair, Pair]], alpha: float) -> Estimate | None:
    """Return the gap recovered over all tasks, each task weighing the same.

    `pairs` holds (teacher with student, teacher with control) of each task. Samples are scaled so that their mean is
    the macro mean of normalised scores; the differences between tasks then count as spread, so the interval errs on
    the wide side.
    """
    usable = [(s, c) for s, c in pairs if s.invalid is None and c.invalid is None and s.facts.kind != "ratio_of_sums"]
    if not usable:
        return None
    columns: list[np.ndarray] = []
    total = sum(len(s.rows) for s, _ in usable)
    for student, control in usable:
        facts = student.facts
        common = student.rows.index.intersection(control.rows.index)
        factor = total / (len(usable) * len(common) * (facts.best - facts.baseline))
        scores = (
            student.rows.loc[common, "score_t"],
            student.rows.loc[common, "score_s"],
            control.rows.loc[common, "score_s"],
        )
        columns.append(factor * np.stack([column.to_numpy(dtype=np.float64) - facts.baseline for column in scores]))
    teacher, student_scores, control_scores = np.concatenate(columns, axis=1)
    return published(stats.gap_recovered(teacher, student_scores, control_scores, alpha=alpha))
