"""Which exit code a verdict has. What is undecided counts as the caller says; the verdict never changes with it."""

from __future__ import annotations

from distbench.errors import ExitCode
from distbench.schema.policy import OnInconclusive
from distbench.schema.result import Result, Verdict

CODES: dict[Verdict, ExitCode] = {
    "PASS": ExitCode.OK,
    "FAIL": ExitCode.GATE_FAILED,
    "INCONCLUSIVE": ExitCode.INCONCLUSIVE,
    "NO_SIGNAL": ExitCode.INCONCLUSIVE,
    "INVALID": ExitCode.INCONCLUSIVE,
}
UNDECIDED: frozenset[Verdict] = frozenset({"INCONCLUSIVE", "NO_SIGNAL"})  # more data may decide it; INVALID is a fault
_LET_THROUGH = {"warn": "is let through with a warning", "pass": "is let through"}


def exit_code(result: Result) -> ExitCode:
    """Return 0 only where every required student passes; a missing number is 3, never 0."""
    return CODES[result.verdict]


def exit_of(verdict: Verdict, on_inconclusive: OnInconclusive) -> tuple[ExitCode, str]:
    """Return the exit code of a verdict, and why it is this one."""
    code = CODES[verdict]
    if verdict == "PASS":
        return code, "every required rule of every required student passes"
    if verdict == "FAIL":
        return code, "a required rule of a required student fails"
    if verdict == "INVALID":
        return code, "a comparison that is not valid is never let through"
    if on_inconclusive != "fail":
        return (
            ExitCode.OK,
            f"what cannot be decided {_LET_THROUGH[on_inconclusive]} (on inconclusive: {on_inconclusive})",
        )
    return code, "what cannot be decided does not pass (on inconclusive: fail)"
