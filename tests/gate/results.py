"""Results by hand for the gate's renderings: nothing here was measured."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distbench.schema.record import Footprint
from distbench.schema.result import (
    CellSummary,
    Estimate,
    GateCheck,
    Result,
    StudentResult,
    SuiteScore,
    TeacherResult,
    Verdict,
)

VERDICTS: tuple[Verdict, ...] = ("PASS", "FAIL", "INCONCLUSIVE", "NO_SIGNAL", "INVALID")
ENDS = {"PASS": (0.96, 0.99), "FAIL": (0.80, 0.86), "INCONCLUSIVE": (0.93, 0.97)}


def check(verdict: Verdict = "PASS", rule: str = "retained", **more: Any) -> GateCheck:
    """Return a check whose numbers fit its verdict; NO_SIGNAL and INVALID have none."""
    lo, hi = ENDS.get(verdict, (None, None))
    value = None if lo is None or hi is None else (lo + hi) / 2
    seen = Estimate(value=value, lo=lo, hi=hi, n=600 if value else 0, method="score", reason=f"why {verdict}")
    return GateCheck(
        **{"rule": rule, "threshold": 0.95, "observed": seen, "verdict": verdict, "reason": f"why {verdict}", **more}
    )


def student(checks: Sequence[GateCheck], name: str = "small", **more: Any) -> StudentResult:
    """Return a student with these checks; its verdict is left to the decision's own arithmetic."""
    none = Estimate(value=None, method="none", reason="by hand")
    return StudentResult(
        **{
            "name": name, "label": name, "role": "student", "of": ["big"], "required": True, "made_by": "hand",
            "compression": {"bytes_on_disk": None}, "footprint": Footprint(), "tasks": [],
            "suite": SuiteScore(retained=none, verdict="INCONCLUSIVE"), "measurements": [], "gate": list(checks),
            "verdict": "INCONCLUSIVE", "verdict_reason": "", **more,
        }
    )  # fmt: skip


def result(students: Sequence[StudentResult], **more: Any) -> Result:
    """Return a result of these students, its verdicts as the comparison would set them."""
    from distbench.compare.verdicts import run_verdict, student_verdict

    decided = []
    for each in students:
        verdict, reason = student_verdict(each.gate)
        decided.append(each.model_copy(update={"verdict": verdict, "verdict_reason": reason}))
    verdict, reason = run_verdict(decided)
    teacher = TeacherResult(name="big", label="big", source="hand", identity="id", footprint=Footprint(), scores={})
    return Result(
        **{
            "run": "run", "suite": "by-hand", "created_at": "2026-01-02T03:04:05Z", "distbench": "0", "alpha": 0.05,
            "thresholds": {"retained": 0.95}, "verdict": verdict, "verdict_reason": reason, "teachers": [teacher],
            "students": decided, "cells": [], **more,
        }
    )  # fmt: skip


def failed_cell(error: str = "killed by signal 9") -> CellSummary:
    """Return a cell that crashed."""
    return CellSummary(id="c1", kind="evaluate", title="small on t", status="failed", error=error)
