"""The comparison: one document that the terminal, the report, the gate and every export read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from distbench.schema.record import Footprint, HostFacts, Training
from distbench.schema.strict import Strict

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "NO_SIGNAL", "INVALID"]


class Estimate(Strict):
    """A number with its interval. A missing value is null with a reason; an unbounded limit is null too."""

    value: float | None
    lo: float | None = None
    hi: float | None = None
    n: int = 0
    method: str
    status: str = "ok"
    reason: str | None = None


class Fidelity(Strict):
    """Does the student say what the teacher says, right or wrong?"""

    agreement: float | None = Field(None, description="share of items with the same answer")
    negative_flips: float | None = Field(None, description="share of items: teacher right, student wrong")
    positive_flips: float | None = Field(None, description="share of items: teacher wrong, student right")


class TaskResult(Strict):
    """One student on one task beside its teacher. `teacher` and `student` are mean scores."""

    task: str
    metric: str
    higher_is_better: bool
    baseline: float
    n: int
    teacher: float | None
    student: float | None
    retained: Estimate
    retained_raw: Estimate
    delta: Estimate
    gap_recovered: Estimate | None = None
    fidelity: Fidelity = Fidelity()
    verdict: Verdict
    reason: str | None = None
    other_metrics: dict[str, tuple[float, float]] = Field({}, description="metric → (teacher, student)")


class Measurement(Strict):
    """One metric under one workload on both sides. `ratio` is oriented: above 1 the student is better."""

    meter: str
    metric: str
    unit: str
    workload: str
    higher_is_better: bool
    teacher: float | None = Field(description="median")
    student: float | None = Field(description="median")
    ratio: Estimate
    n: int
    status: Literal["measured", "estimated", "not_measurable"]
    reason: str | None = None


class GateCheck(Strict):
    """One rule of the gate, with what it saw."""

    rule: str
    threshold: float
    observed: Estimate
    verdict: Verdict
    reason: str | None = None


class SuiteScore(Strict):
    """The student over all tasks."""

    retained: Estimate
    mean_of_ratios: float | None = None
    worst_task: str | None = None
    verdict: Verdict
    reason: str | None = None
    left_out: list[str] = []


class Disagreement(Strict):
    """One sample that the teacher and the student answer differently in correctness."""

    task: str
    sample_id: str
    kind: Literal["lost", "won"]
    prompt: str
    label: str
    teacher: str
    student: str


class StudentResult(Strict):
    """One student beside its teacher."""

    name: str
    label: str
    role: Literal["student", "control"]
    of: list[str]
    control_of: str | None = None
    control: str | None = Field(None, description="name of this student's no-teacher control")
    required: bool
    made_by: str = Field(description="the recipe in words")
    compression: dict[str, float | None]
    footprint: Footprint
    training: Training | None = None
    tasks: list[TaskResult]
    suite: SuiteScore
    measurements: list[Measurement]
    gap_recovered: Estimate | None = None
    gate: list[GateCheck] = []
    verdict: Verdict
    verdict_reason: str
    disagreements: list[Disagreement] = []
    disagreements_total: int = 0
    warnings: list[str] = []


class TeacherResult(Strict):
    """A teacher: where it came from, its size, and its own scores."""

    name: str
    label: str
    source: str
    identity: str
    footprint: Footprint
    scores: dict[str, float | None]
    training: Training | None = None
    notes: list[str] = []


class CellSummary(Strict):
    """One cell in the provenance table."""

    id: str
    kind: str
    title: str
    status: Literal["done", "cached", "failed", "missing"]
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    error: str | None = None


class Result(Strict):
    """Everything `distbench compare RUN --json` prints."""

    result_schema: Literal[1] = 1
    run: str
    suite: str
    description: str | None = None
    created_at: str
    distbench: str
    alpha: float
    thresholds: dict[str, float | None]
    verdict: Verdict
    verdict_reason: str
    recommended: str | None = None
    teachers: list[TeacherResult]
    students: list[StudentResult]
    cells: list[CellSummary]
    host: HostFacts | None = None
    packages: dict[str, str] = {}
    settings: dict[str, Any] = {}
    warnings: list[str] = []
