"""From a result to the decision: every output of the gate, and its exit code, is a rendering of this one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distbench import __version__
from distbench.compare.verdicts import run_verdict, student_verdict
from distbench.gate.exit import exit_of
from distbench.schema.decision import (
    BaselineFacts,
    Decision,
    EvidenceFacts,
    FailedCell,
    PolicyFacts,
    RuleDecision,
    StudentDecision,
)
from distbench.schema.policy import OnInconclusive
from distbench.schema.result import GateCheck, Result, StudentResult


def decide(
    result: Result,
    on_inconclusive: OnInconclusive = "fail",
    *,
    policy: PolicyFacts | None = None,
    baseline: BaselineFacts | None = None,
    evidence: EvidenceFacts | None = None,
) -> Decision:
    """Return what the gate decides on a result whose checks are complete."""
    code, why = exit_of(result.verdict, on_inconclusive)
    students = [student for student in result.students if student.role == "student"]
    return Decision(
        verdict=result.verdict,
        reason=result.verdict_reason,
        exit_code=int(code),
        exit_reason=why,
        on_inconclusive=on_inconclusive,
        run=result.run,
        suite=result.suite,
        created_at=result.created_at,
        distbench=__version__,
        alpha=result.alpha,
        policy=policy,
        baseline=baseline,
        evidence=evidence,
        students=[
            StudentDecision(
                name=student.name,
                label=student.label,
                required=student.required,
                verdict=student.verdict,
                reason=student.verdict_reason,
            )
            for student in students
        ],
        rules={student.name: [_rule(check, student) for check in student.gate] for student in students},
        cells=[
            FailedCell(id=cell.id, title=cell.title, status=cell.status, error=cell.error)
            for cell in result.cells
            if cell.status in {"failed", "missing"}
        ],
    )


def _rule(check: GateCheck, student: StudentResult) -> RuleDecision:
    return RuleDecision(**{**dict(check), "metric": check.metric or _metric(check, student), "n": check.observed.n})


def _metric(check: GateCheck, student: StudentResult) -> str | None:
    """Return the metric of the task that a rule is about."""
    return next((task.metric for task in student.tasks if task.task == check.task), None)


def with_checks(result: Result, more: Mapping[str, Sequence[GateCheck]]) -> Result:
    """Return a result whose students have further checks, decided anew; the keys are students' names."""
    students = [_with(student, more.get(student.name, ())) for student in result.students]
    verdict, reason = run_verdict(students)
    return result.model_copy(update={"students": students, "verdict": verdict, "verdict_reason": reason})


def _with(student: StudentResult, more: Sequence[GateCheck]) -> StudentResult:
    if not more:
        return student
    checks = [*student.gate, *more]
    verdict, reason = student_verdict(checks)
    return student.model_copy(update={"gate": checks, "verdict": verdict, "verdict_reason": reason})
