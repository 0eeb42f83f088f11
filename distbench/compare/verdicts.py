"""From comparisons to verdicts: the suite's retention, the gate's rules, the student, the run."""

from __future__ import annotations

from collections.abc import Sequence

from distbench import stats
from distbench.compare.estimates import judged, missing
from distbench.compare.measurements import headline_energy, headline_speedup
from distbench.compare.policies import asked_of
from distbench.compare.severity import worst
from distbench.compare.tasks import Compared
from distbench.schema.result import Estimate, GateCheck, Measurement, StudentResult, SuiteScore, TaskResult, Verdict
from distbench.schema.suite import GateSpec

NOTHING_TO_RETAIN = "no task that can be gated was evaluated"


def suite_score(compared: list[Compared], gate: GateSpec, absent: list[str]) -> SuiteScore:
    """Return the retention over all tasks and its verdict; a planned task that did not finish leaves it undecided."""
    parts = [c.part for c in compared if c.part is not None]
    claims = [c.claim for c in compared if c.claim is not None]
    if not claims:
        why = f"{len(absent)} tasks did not finish" if absent else NOTHING_TO_RETAIN
        return SuiteScore(retained=missing(why), verdict="INCONCLUSIVE", reason=why)
    if len(parts) < len(claims):
        broken = [c.result.task for c in compared if c.claim is not None and c.part is None]
        why = f"not valid: {', '.join(broken)}"
        return SuiteScore(retained=missing(why), verdict="INVALID", reason=why)
    whole = stats.retained_suite(parts, alpha=gate.alpha)
    rule = stats.SuiteRule(gate.suite_rule)
    asked = [c.claim for c in compared if c.claim is not None and asked_of(gate, c.files[0].cell.task).required]
    decided = stats.decide_suite(stats.Claim("", whole.estimate, gate.retained), asked, rule=rule, alpha=gate.alpha)
    verdict: Verdict = decided.verdict.value
    reason = decided.reason
    if absent and verdict == "PASS":
        verdict, reason = "INCONCLUSIVE", f"{', '.join(absent)} did not finish"
    return SuiteScore(
        retained=judged(whole.estimate),
        mean_of_ratios=whole.mean_of_ratios,
        worst_task=whole.worst_task,
        verdict=verdict,
        reason=reason,
        left_out=list(whole.left_out),
    )


def gate_checks(
    suite: SuiteScore,
    measurements: list[Measurement],
    compression: float | None,
    gate: GateSpec,
    policies: Sequence[GateCheck] = (),
    *,
    devices: Sequence[str] = (),
) -> list[GateCheck]:
    """Return every rule of the gate with what it saw. A missing number is INCONCLUSIVE.

    Speed and energy are asked on each of the `devices` that the suite names.
    """
    checks = [_retention(suite, gate, policies), *policies]
    asked: Sequence[str | None] = devices or [None]
    for device in asked:
        there = [m for m in measurements if m.device == device]
        where = f" on {device}" if device else ""
        if gate.speedup is not None:
            headline = headline_speedup(there)
            observed = headline.ratio if headline else missing(f"latency was not measured{where}")
            checks.append(threshold_check("speedup", gate.speedup, observed, headline))
        if gate.energy is not None:
            used = headline_energy(there)
            observed = used.ratio if used else missing(f"energy was not measured{where}")
            checks.append(threshold_check("energy", gate.energy, observed, used))
    if gate.compression is not None:
        observed = missing("the size on disk is not known")
        if compression is not None:
            observed = Estimate(value=compression, lo=compression, hi=compression, n=1, method="exact")
        checks.append(threshold_check("compression", gate.compression, observed))
    return checks


def _retention(suite: SuiteScore, gate: GateSpec, policies: Sequence[GateCheck]) -> GateCheck:
    """Return the check of the suite's retention.

    A suite of which no task can have a retention (bits per byte, bias, divergence only) is decided by its ceilings, if
    it sets any.
    """
    ceilings = any(check.direction == "at_most" for check in policies)
    reason, required = suite.reason, True
    if suite.reason == NOTHING_TO_RETAIN and ceilings:
        reason, required = f"{suite.reason}; the ceilings decide", False
    return GateCheck(
        rule="retained",
        threshold=gate.retained,
        observed=suite.retained,
        verdict=suite.verdict,
        required=required,
        reason=reason,
    )


def threshold_check(rule: str, threshold: float, observed: Estimate, of: Measurement | None = None) -> GateCheck:
    """Decide "at least" by the limits of a published estimate; `of` is the measurement that it comes from."""
    verdict: Verdict = "INCONCLUSIVE"
    reason = observed.reason or f"the interval holds {threshold:g}"
    if observed.lo is not None and observed.lo >= threshold:
        verdict, reason = "PASS", f"lower limit {observed.lo:.3f} ≥ {threshold:g}"
    elif observed.hi is not None and observed.hi < threshold:
        verdict, reason = "FAIL", f"upper limit {observed.hi:.3f} < {threshold:g}"
    if observed.method == "exact" and observed.value is not None:
        reason = f"{observed.value:.4g} {'≥' if verdict == 'PASS' else '<'} {threshold:g}"
    return GateCheck(
        rule=rule, metric=of.metric if of else None, workload=of.workload if of else None, threshold=threshold,
        observed=observed, verdict=verdict, reason=reason,
    )  # fmt: skip


def gated(compared: Compared, checks: Sequence[GateCheck]) -> TaskResult:
    """Return a task's result; where a rule of the gate decides on a metric without retention, with its verdict."""
    result = compared.result
    if result.gated:
        return result
    mine = [check for check in checks if check.task is not None and check.task.split(" (")[0] == result.task]
    if not mine:
        return result
    verdict = worst([check.verdict for check in mine])
    reasons = "; ".join(f"{check.rule}: {check.reason}" for check in mine if check.verdict == verdict)
    return result.model_copy(update={"gated": True, "verdict": verdict, "reason": reasons})


def student_verdict(checks: list[GateCheck]) -> tuple[Verdict, str]:
    """Return the conjunction of a student's required rules, and the sentence that explains it."""
    asked = [check for check in checks if check.required]
    if not asked:
        return "INCONCLUSIVE", "no rule that counts is asked of it"
    verdict = worst([check.verdict for check in asked])
    deciding = [check for check in asked if check.verdict == verdict]
    return verdict, "; ".join(f"{check.title}: {check.reason}" for check in deciding)


def run_verdict(students: list[StudentResult]) -> tuple[Verdict, str]:
    """Return the verdict on all required students: every one must pass."""
    required = [student for student in students if student.required and student.role == "student"]
    if not required:
        return "INCONCLUSIVE", "no student is required to pass, so there is nothing to gate"
    verdict = worst([student.verdict for student in required])
    deciding = [student for student in required if student.verdict == verdict]
    names = ", ".join(student.label for student in deciding)
    if verdict == "PASS":
        return verdict, f"every required student is good enough: {names}"
    words = {"FAIL": "not good enough", "INCONCLUSIVE": "cannot be decided",
             "NO_SIGNAL": "the teacher shows nothing to keep",
             "INVALID": "not a valid comparison"}  # fmt: skip
    return verdict, f"{names}: {words[verdict]} ({deciding[0].verdict_reason})"


def recommended(students: list[StudentResult]) -> str | None:
    """Return the passing student that is compressed most by bytes on disk; a control is never recommended."""
    passing = [student for student in students if student.verdict == "PASS" and student.role == "student"]
    return max(passing, key=lambda s: s.compression.get("bytes_on_disk") or 0.0, default=None).name if passing else None  # type: ignore[union-attr]
