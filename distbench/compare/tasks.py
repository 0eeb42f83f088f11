"""One student on one task beside its teacher."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from distbench import stats
from distbench.compare.bias import transfers
from distbench.compare.calibration import calibration
from distbench.compare.context import context_curve
from distbench.compare.estimates import judged, missing, published
from distbench.compare.evidence import Evaluated
from distbench.compare.fidelity import fidelity
from distbench.compare.groups import grouped
from distbench.compare.overlap import overlap
from distbench.compare.pairs import Pair, common_rows, pair, primary_metric
from distbench.compare.ratios import is_per_byte, ratio
from distbench.schema.result import Asked, Fidelity, TaskResult


@dataclass(frozen=True)
class Watched:
    """A number that a ceiling of the gate may look at: of which rule, on which task (and metric)."""

    rule: str
    task: str
    estimate: stats.Estimate


@dataclass(frozen=True)
class Compared:
    """A task's result, with what the suite's statistics and the gate still need.

    `claim` and `part` are None for what is not in the suite's retention; `own` is the claim of a task that has a chance
    level all the same (a word error rate), for a gate that names it. `files` are the samples of both sides.
    """

    result: TaskResult
    claim: stats.Claim | None
    part: stats.SuiteTask | None
    pair: Pair
    files: tuple[Evaluated, Evaluated]
    own: stats.Claim | None = None
    control: Pair | None = None
    groups: tuple[stats.Claim, ...] = ()
    watched: tuple[Watched, ...] = ()


def compare_task(
    teacher: Evaluated,
    student: Evaluated,
    control: Evaluated | None,
    *,
    floor: float,
    alpha: float,
    weight: float,
    group_floor: float | None = None,
) -> Compared:
    """Compare under the task's primary metric; a metric without a chance level is shown, not gated by retention."""
    joined = pair(teacher, student, primary_metric(teacher))
    task = joined.task
    files = teacher, student
    beside = _Beside(joined, files, alpha)
    if joined.facts.neutral is not None:
        return Compared(_bias_rate(task, beside), None, None, joined, files, watched=beside.watched())
    if joined.facts.kind == "ratio_of_sums":
        other = pair(teacher, control, joined.facts) if control is not None else None
        return replace(_ratio_of_sums(task, beside, floor), control=other)
    estimate = _retained(joined, alpha)
    claim = stats.Claim(task, estimate, floor, p_below=_p_below(joined, floor))
    decision = stats.decide(estimate, floor)
    other = pair(teacher, control, joined.facts) if control is not None else None
    gap = _gap(joined, other, alpha) if other is not None else None
    reason = decision.reason
    if decision.verdict is stats.Verdict.INCONCLUSIVE and estimate.status is stats.Status.OK:
        reason += "; " + _what_would_decide(joined, estimate, floor)
    parts = grouped(joined, floor if group_floor is None else group_floor, alpha)
    result = TaskResult(
        task=task,
        metric=joined.facts.name,
        higher_is_better=joined.facts.higher_is_better,
        baseline=joined.facts.baseline,
        n=joined.n,
        teacher=_mean(joined.teacher),
        student=_mean(joined.student),
        retained=judged(estimate),
        retained_raw=published(_raw(joined, alpha)),
        delta=published(score_difference(joined, alpha)),
        gap_recovered=published(gap) if gap is not None else None,
        groups=parts.dimensions,
        context=context_curve(joined, files, floor, alpha),
        verdict=decision.verdict.value,
        reason=reason,
        **beside.fields(),
    )
    part = _part(task, joined, estimate, weight)
    return Compared(result, claim, part, joined, files, claim, other, tuple(parts.claims), beside.watched())


def _part(task: str, joined: Pair, estimate: stats.Estimate, weight: float) -> stats.SuiteTask | None:
    if joined.invalid is not None:
        return None
    return stats.suite_task(
        task,
        joined.student,
        joined.teacher,
        estimate=estimate,
        scale=(joined.facts.baseline, joined.facts.best),
        clusters=joined.clusters,
        weight=weight,
    )


class _Beside:
    """What every task may say beside its score: fidelity, calibration, bias, other metrics, failures."""

    def __init__(self, joined: Pair, files: tuple[Evaluated, Evaluated], alpha: float) -> None:
        self.joined, self.files, self.alpha = joined, files, alpha
        self.fidelity = fidelity(joined, alpha)
        self.transfers = transfers(*files, joined, alpha)
        found = calibration(*files, joined, alpha) if joined.invalid is None else (None, "")
        self.calibration, uncalibrated = found
        self.overlap, unread = overlap(joined, files, alpha)
        self.notes = [note for note in (uncalibrated, unread) if note]

    def fields(self) -> dict[str, Any]:
        """Return them as fields of a TaskResult."""
        return {
            "fidelity": Fidelity(
                **{name: judged(found) for name, found in self.fidelity.items()},
                text_overlap={name: published(found) for name, found in self.overlap.items()},
            ),
            "calibration": self.calibration,
            "bias": [transfer.published() for transfer in self.transfers],
            "failed": self.joined.errors,
            "notes": self.notes,
            "other_metrics": _others(*self.files, self.joined.facts.name),
            "asked": asked(self.files[1]),
        }

    def watched(self) -> tuple[Watched, ...]:
        """Return the numbers that a ceiling may look at; an invalid comparison has them without a value."""
        task, facts = self.joined.task, self.joined.facts
        if self.joined.invalid is not None:
            invalid = _invalid(self.joined)
            rules = ["max_bias_transfer"] if facts.neutral is not None else []
            rules += ["max_negative_flips"] if facts.kind == "binary" and facts.neutral is None else []
            return tuple(Watched(rule, task, invalid) for rule in rules)
        found = [
            Watched(
                "max_bias_transfer",
                task if each.metric == facts.name else f"{task} ({each.metric})",
                each.found.drift,
            )
            for each in self.transfers
        ]
        flips = self.fidelity.get("negative_flips")
        return tuple(found if flips is None else [*found, Watched("max_negative_flips", task, flips)])


def _invalid(joined: Pair) -> stats.Estimate:
    return stats.Estimate(None, None, None, joined.n, "none", stats.Status.INVALID, joined.invalid)


def _mean(scores: np.ndarray) -> float | None:
    return float(scores.mean()) if len(scores) and np.isfinite(scores).all() else None


def _retained(joined: Pair, alpha: float) -> stats.Estimate:
    if joined.invalid is not None:
        return _invalid(joined)
    facts = joined.facts
    estimate = stats.retained(
        joined.student, joined.teacher, baseline=facts.baseline, higher_is_better=facts.higher_is_better,
        clusters=joined.clusters, alpha=alpha,
    )  # fmt: skip
    if joined.same_outputs and estimate.status is not stats.Status.NO_SIGNAL:
        return stats.identical(joined.n)
    return estimate


def _raw(joined: Pair, alpha: float) -> stats.Estimate:
    if joined.invalid is not None:
        return _invalid(joined)
    if not joined.facts.higher_is_better:
        return stats.Estimate(
            None, None, None, joined.n, "none", stats.Status.UNDEFINED, "not meaningful where lower is better"
        )
    if joined.same_outputs:
        return stats.identical(joined.n)
    return stats.retained_raw(joined.student, joined.teacher, clusters=joined.clusters, alpha=alpha)


def score_difference(joined: Pair, alpha: float) -> stats.Estimate:
    """Return the paired difference of mean scores; + means the student is better."""
    if joined.invalid is not None:
        return _invalid(joined)
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


def _gap(joined: Pair, beside: Pair, alpha: float) -> stats.Estimate | None:
    if joined.invalid is not None or beside.invalid is not None:
        return None
    here, there = common_rows(joined, beside)
    if len(here) < 2:
        return None
    clusters = joined.clusters
    return stats.gap_recovered(
        joined.teacher[here],
        joined.student[here],
        beside.student[there],
        higher_is_better=joined.facts.higher_is_better,
        clusters=None if clusters is None else clusters[here],
        alpha=alpha,
    )


def asked(evaluated: Evaluated) -> Asked:
    """Return what a model was asked."""
    result = evaluated.result
    return Asked(version=result.task_version, data=result.data_digest, prompts=result.prompt_digest)


def _others(teacher: Evaluated, student: Evaluated, primary: str) -> dict[str, tuple[float, float]]:
    mine = {m.name: m.mean for m in student.result.metrics if not m.reference}
    both = {m.name: (m.mean, mine.get(m.name)) for m in teacher.result.metrics if m.name != primary}
    return {name: (t, s) for name, (t, s) in both.items() if t is not None and s is not None}


def _bias_rate(task: str, beside: _Beside) -> TaskResult:
    """A bias rate: closer to neutral is better, so neither retention nor "higher is better" means anything."""
    joined = beside.joined
    why = f"{joined.facts.name} is a bias rate: closer to {joined.facts.neutral:g} is better; read its transfer"
    none = missing(joined.invalid or why)
    return TaskResult(
        task=task, metric=joined.facts.name, higher_is_better=joined.facts.higher_is_better,
        baseline=joined.facts.baseline, n=joined.n, teacher=_mean(joined.teacher), student=_mean(joined.student),
        retained=none, retained_raw=none, delta=none, gated=False,
        verdict="INVALID" if joined.invalid else "INCONCLUSIVE", reason=joined.invalid or "shown, not gated: " + why,
        **beside.fields(),
    )  # fmt: skip


def _ratio_of_sums(task: str, beside: _Beside, floor: float) -> Compared:
    """Bits per byte and the like: the paired difference is what counts; it never enters the suite's retention."""
    joined, facts = beside.joined, beside.joined.facts
    found = ratio(joined, floor, beside.alpha)
    why = found.retained.reason or "a ratio of sums is not part of the suite's retention"
    own, watched = None, beside.watched()
    if found.retained.status is not stats.Status.UNDEFINED:
        own = stats.Claim(task, found.retained, floor, p_below=found.p_below)
    if is_per_byte(facts.name):
        watched += (Watched("max_delta_bpb", task, stats.negated(found.delta)),)
    result = TaskResult(
        task=task, metric=facts.name, higher_is_better=facts.higher_is_better, baseline=facts.baseline, n=joined.n,
        teacher=found.teacher, student=found.student, retained=judged(found.retained),
        retained_raw=missing("not meaningful for a ratio of sums"), delta=published(found.delta), gated=False,
        byte_perplexity_ratio=None if found.byte_perplexity_ratio is None else published(found.byte_perplexity_ratio),
        verdict="INVALID" if found.invalid else "INCONCLUSIVE", reason=found.invalid or "shown, not gated: " + why,
        **beside.fields(),
    )  # fmt: skip
    return Compared(result, None, None, joined, beside.files, own, watched=watched)
