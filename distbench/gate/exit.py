"""Which exit code a verdict has."""

from __future__ import annotations

from distbench.errors import ExitCode
from distbench.schema.result import GateCheck, Result, Verdict

CODES: dict[Verdict, ExitCode] = {
    "PASS": ExitCode.OK,
    "FAIL": ExitCode.GATE_FAILED,
    "INCONCLUSIVE": ExitCode.INCONCLUSIVE,
    "NO_SIGNAL": ExitCode.INCONCLUSIVE,
    "INVALID": ExitCode.INCONCLUSIVE,
}


def exit_code(result: Result) -> ExitCode:
    """Return 0 only where every required student passes; a missing number is 3, never 0."""
    return CODES[result.verdict]


def lines(result: Result) -> list[str]:
    """Return one line a rule: what was asked, what was seen, how it was decided."""
    rows = [f"{result.verdict}: {result.verdict_reason}"]
    for student in result.students:
        if student.role == "control":
            continue
        note = "" if student.required else " (advisory)"
        rows.append(f"  {student.verdict:<13} {student.label}{note}")
        rows += [f"    {_line(check)}" for check in student.gate]
    return rows


def _line(check: GateCheck) -> str:
    note = "" if check.required else " (advisory)"
    return f"{check.verdict:<13} {check.title} {check.sign} {check.threshold:g}{note}: {check.reason}"
