"""The manifest of a run: the suite as it was resolved, its models, and the cells that were planned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, StringConstraints, model_validator

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


# The id names files below the run's folder: it must stay there, whoever wrote the manifest.
CellId = Annotated[str, StringConstraints(pattern=r"^[^./\\\x00-\x1f][^/\\\x00-\x1f]{0,199}$")]


class PlannedCell(Strict):
    """One line of the plan."""

    id: CellId
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

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        """Check that what the manifest names is in it: whatever reads a run follows these names."""
        for fault in self._faults():
            raise ValueError(fault)
        return self

    def _faults(self) -> Iterator[str]:
        models = {model.name: model for model in self.models}
        for what, names in (
            ("models", [model.name for model in self.models]),
            ("cells", [cell.id for cell in self.cells]),
            ("tasks", self.task_order),
        ):
            yield from (f"two {what} are called {twice!r:.80}" for twice in _twice(names))
        for model in self.models:
            named = [name for name in (model.control, model.control_of, model.seed_of) if name is not None]
            unknown = [name for name in named if name not in models]
            yield from (f"{model.name!r:.80} names {name!r:.80}, which is no model" for name in unknown)
            if model.role == "teacher":
                continue
            if not model.of:
                yield f"{model.name!r:.80} has no teacher"
            for name in model.of:
                if name not in models or models[name].role != "teacher":
                    yield f"{model.name!r:.80} is of {name!r:.80}, which is no teacher"


def _twice(names: Sequence[str]) -> list[str]:
    return [name for name, count in Counter(names).items() if count > 1]
