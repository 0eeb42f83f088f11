"""One student on one task beside its teacher."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from distbench import stats
from distbench.compare.estimates import missing, published
from distbench.compare.evidence import Evaluated
from distbench.compare.pairs import Pair, pair, primary_metric
from distbench.schema.result import Fidelity, TaskResult


@dataclass(frozen=True)
class Compared:
    """A task's result, with what the suite's statistics still need."""

    result: TaskResult
    claim: stats.Claim | None
    part: stats.SuiteTask | None
    pair: Pair


def compare_task(
    task: str,
    teacher: Evaluated,
    student: Evaluated,
    control: Evaluated | None,
    *,
    floor: float,
    alpha: float,
    weight: float,
) -> Compared:
    """Compare under the task's primary metric; a metric without a chance level is shown, not gated."""
    joined = pair(teacher, student, primary_metric(teacher))
    if joined.facts.kind == "ratio_of_sums":
        return Compared(_ratio_of_sums(task, joined, teacher, student, alpha), None, None, joined)
    estimate = _retained(joined, alpha)
    claim = stats.Claim(task, estimate, floor, p_below=_p_below(joined, floor))
    decision = stats.decide(estimate, floor)
    gap = _gap(joined, teacher, control, alpha) if control is not None else None
    reason = decision.reason
    if decision.verdict is stats.Verdict.INCONCLUSIVE and estimate.status is stats.Status.OK:
        reason += "; " + _what_would_decide(joined, estimate, floor)
    result = TaskResult(
        task=task,
        metric=joined.facts.name,
        higher_is_better=joined.facts.higher_is_better,
        baseline=joined.facts.baseline,
        n=len(joined.rows),
        teacher=_mean(joined.teacher),
        student=_mean(joined.student),
        retained=published(estimate),
        retained_raw=published(_raw(joined, alpha)),
        delta=published(_delta(joined, alpha)),
        gap_recovered=published(gap) if gap is not None else None,
        fidelity=_fidelity(joined),
        verdict=decision.verdict.value,
        reason=reason,
        other_metrics=_others(teacher, student, joined.facts.name),
    )
    part = None
    if joined.invalid is None:
        scale = (joined.facts.baseline, joined.facts.best)
        part = stats.suite_task(
            task,
            joined.student,
            joined.teacher,
            estimate=estimate,
            scale=scale,
            clusters=joined.clusters,
            weight=weight,
        )
    return Compared(result, claim, part, joined)


def _mean(scores: np.ndarray) -> float | None:
    return float(scores.mean()) if len(scores) and np.isfinite(scores).all() else None


def _retained(joined: Pair, alpha: float) -> stats.Estimate:
    n = len(joined.rows)
    if joined.invalid is not None:
        return stats.Estimate(None, None, None, n, "none", stats.Status.INVALID, joined.invalid)
    facts = joined.facts
    estimate = stats.retained(
        joined.student, joined.teacher, baseline=facts.baseline, higher_is_better=facts.higher_is_better,
        clusters=joined.clusters, alpha=alpha,
    )  # fmt: skip
    if joined.same_outputs and estimate.status is not stats.Status.NO_SIGNAL:
        return stats.identical(n)
    return estimate


def _raw(joined: Pair, alpha: float) -> stats.Estimate:
    n = len(joined.rows)
    if joined.invalid is not None:
        return stats.Estimate(None, None, None, n, "none", stats.Status.INVALID, joined.invalid)
    if not joined.facts.higher_is_better:
        return stats.Estimate(
            None, None, None, n, "none", stats.Status.UNDEFINED, "not meaningful where lower is better"
        )
    if joined.same_outputs:
        return stats.identical(n)
    return stats.retained_raw(joined.student, joined.teacher, clusters=joined.clusters, alpha=alpha)


def _delta(joined: Pair, alpha: float) -> stats.Estimate:
    if joined.invalid is not None:
        return stats.Estimate(None, None, None, len(joined.rows), "none", stats.Status.INVALID, joined.invalid)
    return stats.delta(
        joined.student,
        joined.teacher,
        higher_is_better=joined.facts.higher_is_better,
        clusters=joined.clusters,
        alpha=alpha,
    )


def _p_below(joined: Pair, floor: float) -> float | None:
    if joined.invalid is not None:
        return None
    test = stats.margin_test(
        joined.student, joined.teacher, margin=floor, baseline=joined.facts.baseline,
        higher_is_better=joined.facts.higher_is_better, clusters=joined.clusters,
    )  # fmt: skip
    return None if test is None else test.p_below


def _what_would_decide(joined: Pair, estimate: stats.Estimate, floor: float) -> str:
    sign = 1.0 if joined.facts.higher_is_better else -1.0
    plan = stats.samples_to_decide(
        sign * joined.student,
        sign * joined.teacher,
        margin=floor,
        baseline=sign * joined.facts.baseline,
        clusters=joined.clusters,
    )
    return stats.undecided_text(estimate, floor, plan)


def _gap(joined: Pair, teacher: Evaluated, control: Evaluated, alpha: float) -> stats.Estimate | None:
    beside = pair(teacher, control, joined.facts)
    common = joined.rows.index.intersection(beside.rows.index)
    if joined.invalid is not None or beside.invalid is not None or len(common) < 2:
        return None
    rows = joined.rows.loc[common]
    clusters = None if rows["cluster_t"].isna().any() else rows["cluster_t"].tolist()
    return stats.gap_recovered(
        rows["score_t"].to_numpy(float),
        rows["score_s"].to_numpy(float),
        beside.rows.loc[common, "score_s"].to_numpy(float),
        higher_is_better=joined.facts.higher_is_better, clusters=clusters, alpha=alpha,
    )  # fmt: skip


def _fidelity(joined: Pair) -> Fidelity:
    rows = joined.rows
    if not len(rows):
        return Fidelity()
    agreement = float((rows["prediction_t"] == rows["prediction_s"]).mean())
    if joined.facts.kind != "binary" or joined.invalid is not None:
        return Fidelity(agreement=agreement)
    flips = stats.flips(stats.Cells.from_scores(joined.student, joined.teacher))
    return Fidelity(agreement=agreement, negative_flips=flips.negative.value, positive_flips=flips.positive.value)


def _others(teacher: Evaluated, student: Evaluated, primary: str) -> dict[str, tuple[float, float]]:
    mine = {m.name: m.mean for m in student.result.metrics}
    both = {m.name: (m.mean, mine.get(m.name)) for m in teacher.result.metrics if m.name != primary}
    return {name: (t, s) for name, (t, s) in both.items() if t is not None and s is not None}


def _ratio_of_sums(task: str, joined: Pair, teacher: Evaluated, student: Evaluated, alpha: float) -> TaskResult:
    """Bits per byte and the like: the paired difference is what counts; there is no chance level to correct by."""
    facts, rows = joined.facts, joined.rows
    why = f"{facts.name} has no chance level; read the difference (+ is better)"
    weight = rows["denominator_t"].to_numpy(float)
    sides = {side: rows[f"numerator_{side}"].to_numpy(float) for side in ("t", "s")}
    change = missing(joined.invalid or "no samples")
    means: dict[str, float | None] = {"t": None, "s": None}
    if joined.invalid is None and len(rows) > 1 and weight.sum() > 0:
        means = {side: float(values.sum() / weight.sum()) for side, values in sides.items()}
        sign = 1.0 if facts.higher_is_better else -1.0
        moments = stats.mean_covariance(sign * (sides["s"] - sides["t"]), weight, clusters=joined.clusters)
        change = published(stats.ratio_of_means(moments, alpha=alpha))
    return TaskResult(
        task=task, metric=facts.name, higher_is_better=facts.higher_is_better, baseline=facts.baseline, n=len(rows),
        teacher=means["t"], student=means["s"], retained=missing(why), retained_raw=missing(why), delta=change,
        verdict="INVALID" if joined.invalid else "INCONCLUSIVE", reason=joined.invalid or "shown, not gated: " + why,
        other_metrics=_others(teacher, student, facts.name),
    )  # fmt: skip
