"""Estimates, and what is said beside a score."""

from __future__ import annotations

from typing import Any

from distbench.schema.result import Estimate, Fidelity

HOSTILE = "</script><script>alert(1)</script>"
TEACHER_BYTES = 538_060_672
TASKS = ("blimp-agreement", "sentiment", "topic")


def estimate(value: float | None, half: float = 0.02, n: int = 1200, **more: Any) -> Estimate:
    limits = {"lo": None, "hi": None} if value is None else {"lo": value - half, "hi": value + half}
    return Estimate(**{"value": value, "n": n, "method": "score", **limits, **more})


def no_signal() -> Estimate:
    reason = "the teacher (0.252) is not significantly above chance (0.25)"
    return estimate(None, n=300, status="no_signal", reason=reason)


def fidelity(n: int) -> Fidelity:
    return Fidelity(
        agreement=estimate(0.93, 0.01, n, method="wilson"),
        churn=estimate(0.07, 0.01, n, method="wilson"),
        cohen_kappa=estimate(0.861, 0.02, n, method="kappa"),
        negative_flips=estimate(0.045, 0.008, n, method="wilson"),
        positive_flips=estimate(0.021, 0.006, n, method="wilson"),
        retained_knowledge=estimate(0.949, 0.009, n, method="wilson"),
        text_overlap={"chrF": estimate(0.71, 0.02, n)},
    )
