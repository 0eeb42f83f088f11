"""The manifest of a run: the suite as it was resolved, its models, and the cells that were planned."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from distbench.schema.cell import ModelRef, Role, Settings
from distbench.schema.strict import Strict
from distbench.schema.suite import Control, StudyPoint, Suite


class PlannedModel(Strict):
    """A teacher, a student or a control, before anything ran."""

    name: str
    label: str
    role: Role
    of: list[str] = []
    control_of: str | None = None
    control: str | None = Field(None, description="the no-teacher control")
    kind: Control | None = Field(None, description="of a control")
    seed: int | None = Field(None, description="of its training, where it is trained with several")
    seed_of: str | None = Field(None, description="the model of which this is another training run")
    study: StudyPoint | None = None
    required: bool = True
    made_by: str
    origin: str
    ref: ModelRef
    notes: list[str] = []


class PlannedCell(Strict):
    """One line of the plan."""

    id: str
    kind: Literal["make", "evaluate", "measure"]
    title: str
    added: bool = Field(False, description="added while the run was at work: a further part of an undecided task")


class Manifest(Strict):
    """What `manifest.json` holds."""

    manifest_schema: Literal[1] = 1
    run: str
    created_at: str
    distbench: str
    command: list[str]
    suite_digest: str
    suite: Suite
    settings: Settings
    device_reason: str
    models: list[PlannedModel]
    cells: list[PlannedCell]
    task_order: list[str]
    warnings: list[str] = []
    packages: dict[str, str] | None = Field(
        None, description="versions on the machine that planned it, which the cells' ids hold; None: not recorded"
    )
    cpu_bfloat16: bool | None = Field(
        None, description="whether that machine's CPU has bfloat16, which a training's precision can hang on"
    )
    imported: str | None = Field(None, description="the tool whose results these are; such a run is never resumed")
