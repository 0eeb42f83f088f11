"""The runs of which one comparison was merged."""

from __future__ import annotations

from pydantic import Field

from distbench.schema.estimate import Verdict
from distbench.schema.strict import Strict


class MergedRun(Strict):
    """One of several runs in a merged result. `students` and `teachers` are names in that result."""

    label: str = Field(description="its name, told apart from other runs of that name")
    run: str
    suite: str
    created_at: str
    distbench: str
    verdict: Verdict
    verdict_reason: str
    recommended: str | None
    alpha: float
    thresholds: dict[str, float | None]
    suite_rule: str = "default"
    task_floors: dict[str, float] = {}
    teachers: list[str]
    students: list[str]
    tasks: list[str]
    machine: str = Field(description="in words; “not known” where nothing says it")
    device: str | None = None
    packages: dict[str, str] = {}
