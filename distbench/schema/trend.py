"""Releases in order: what each student of a name retained, bought and was judged, from one to the next."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from distbench.schema.diff import Basis, ChangeVerdict
from distbench.schema.estimate import Estimate, Verdict
from distbench.schema.strict import Strict


class Release(Strict):
    """One run, as a point in time."""

    label: str = Field(description="its name, told apart from other runs of that name")
    run: str
    suite: str
    created_at: str
    distbench: str
    verdict: Verdict
    machine: str


class TrendPoint(Strict):
    """A student in one release. Changes are from the release before it in which the student was."""

    release: int = Field(description="0-based place in the releases")
    retained: Estimate
    verdict: Verdict
    reason: str
    required: bool
    tasks: list[str]
    bytes_on_disk: int | None
    compression: float | None = Field(description="teacher ÷ student by bytes on disk")
    speedup: Estimate | None = Field(description="end-to-end time, teacher ÷ student; None: not measured")
    memory: Estimate | None = Field(description="peak memory, teacher ÷ student")
    energy: Estimate | None = Field(description="gross energy, teacher ÷ student")
    since: int | None = Field(None, description="the release that the change is from; None: its first")
    change: Estimate | None = Field(None, description="of what is retained, + is better")
    basis: Basis = "none"
    p_value: float | None = Field(None, description="of “no change”, two-sided")
    p_holm: float | None = Field(None, description="the same after Holm over the changes of this student")
    change_verdict: ChangeVerdict | None = None
    change_reason: str = ""
    same: bool | None = Field(None, description="whether it is the same model as before; None: first, or not recorded")
    same_teacher: bool | None = None
    content: list[str] = Field([], description="what else is not as before: recipe, weights, tasks, versions, machine")


class TrendLine(Strict):
    """A student by name over all releases: a point for each, None where a release does not have it."""

    name: str
    label: str
    role: Literal["student", "control"]
    points: list[TrendPoint | None]
    remarks: list[str] = Field([], description="changes that are more than chance, in sentences")


class Trend(Strict):
    """Everything `distbench trend R1 R2 … --json` prints."""

    trend_schema: Literal[1] = 1
    order: Literal["created_at", "given"]
    alpha: float
    margin: float
    thresholds: dict[str, float | None] = Field({}, description="of the gate, where all releases share them")
    releases: list[Release]
    lines: list[TrendLine]
    notes: list[str] = []
