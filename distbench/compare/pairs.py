"""Join teacher and student sample by sample, and say when the comparison is not valid."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from distbench.compare.evidence import Evaluated
from distbench.schema.record import MetricFacts

MIN_COVERAGE = 0.99


@dataclass(frozen=True)
class Pair:
    """Two models on the same samples under one metric. `rows` has columns …_t and …_s; `invalid` says what is wrong."""

    facts: MetricFacts
    rows: pd.DataFrame
    errors: int
    invalid: str | None
    same_outputs: bool

    @property
    def teacher(self) -> np.ndarray:
        """Scores of the teacher."""
        return self.rows["score_t"].to_numpy(dtype=np.float64)

    @property
    def student(self) -> np.ndarray:
        """Scores of the student."""
        return self.rows["score_s"].to_numpy(dtype=np.float64)

    @property
    def clusters(self) -> list[str] | None:
        """Cluster labels, or None where the samples are independent."""
        labels = self.rows["cluster_t"]
        return None if labels.isna().any() else labels.tolist()


def primary_metric(evaluated: Evaluated) -> MetricFacts:
    """Return the metric that is compared."""
    return next((m for m in evaluated.result.metrics if m.primary), evaluated.result.metrics[0])


def pair(teacher: Evaluated, student: Evaluated, facts: MetricFacts) -> Pair:
    """Join on the sample id. An error scores as the worst and is counted; what was not run on a side is dropped."""
    left, right = teacher.samples(facts.name), student.samples(facts.name)
    rows = left.join(right, how="inner", lsuffix="_t", rsuffix="_s")
    ran = (rows["status_t"] != "not_run") & (rows["status_s"] != "not_run")
    rows = rows[ran].copy()
    worst = facts.baseline if facts.kind == "ratio_of_sums" else (0.0 if facts.higher_is_better else 1.0)
    errors = 0
    for side in ("t", "s"):
        failed = rows[f"status_{side}"] == "error"
        errors += int(failed.sum())
        rows.loc[failed, f"score_{side}"] = worst
    total = max(len(left), len(right))
    return Pair(
        facts=facts,
        rows=rows,
        errors=errors,
        invalid=_invalid(teacher, student, rows, total),
        same_outputs=teacher.result.answers_digest == student.result.answers_digest,
    )


def _invalid(teacher: Evaluated, student: Evaluated, rows: pd.DataFrame, total: int) -> str | None:
    if teacher.result.task_version != student.result.task_version:
        return f"task versions differ: {teacher.result.task_version} and {student.result.task_version}"
    if teacher.result.data_digest != student.result.data_digest:
        return "the data differs between teacher and student"
    if teacher.result.prompt_digest != student.result.prompt_digest:
        return "the prompts differ between teacher and student"
    if not total or len(rows) < MIN_COVERAGE * total:
        return f"only {len(rows)} of {total} samples were answered by both"
    if rows[["score_t", "score_s"]].isna().any(axis=None):
        return "a score is missing although its sample is marked ok"
    return None
