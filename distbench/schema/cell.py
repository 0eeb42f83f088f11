"""The cell: one JSON in, one immutable record directory out, one fresh interpreter."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter

from distbench.schema.strict import Strict, Use
from distbench.schema.suite import DistilSpec, FitSpec, TaskSpec
from distbench.schema.trusted import Trusted

Role = Literal["teacher", "student", "control"]


class ModelRef(Strict):
    """A model as a cell sees it.

    `identity` says what it is (a content hash, or the hash of the recipe that makes it, and how it is opened) and
    enters cell ids; `path` and `cell` say only where it lies and never do. `content` is the identity of the files
    alone. `address` is the URL of a model that is served elsewhere, whose content nobody can hash. `trusted` is what
    had to be allowed so that it can be opened.
    """

    name: str
    role: Role
    use: str
    options: dict[str, Any] = {}
    identity: str
    content: str | None = None
    path: str | None = None
    cell: str | None = None
    address: str | None = None
    trusted: Trusted | None = None


class Settings(Strict):
    """What a fresh process needs to compute the same numbers again."""

    seed: int
    device: str
    dtype: str
    threads: int | None = Field(description="None: not known, the results were imported")


DecidedBy = Annotated[
    list[Any] | None,
    Field(description="everything that decides the cell's numbers: its id is the hash of this; None: not written down"),
]


class MakeCell(Strict):
    """Make a model: start (fresh or from a parent), then train, then quantise. The steps are the recipe.

    Or rewrite `start` for another runtime: then `deploy` is the only step.
    """

    kind: Literal["make"] = "make"
    id: str
    title: str
    needs: list[str]
    role: Role
    use: str
    teachers: list[ModelRef]
    start: ModelRef | None = None
    init: Use | None = None
    train: DistilSpec | FitSpec | None = None
    quantise: Use | None = None
    deploy: Use | None = None
    signal_temperature: float = Field(
        1.0, description="a control shares the signal that its student's teacher recorded"
    )
    record: bool = Field(True, description="the teacher's outputs are recorded before the training, not asked in it")
    settings: Settings
    decided_by: DecidedBy = None


class EvaluateCell(Strict):
    """Ask one model all samples of one task."""

    kind: Literal["evaluate"] = "evaluate"
    id: str
    title: str
    needs: list[str]
    model: ModelRef
    task: TaskSpec
    reference: ModelRef | None = Field(
        None, description="the teacher that the task compares the model with, if it does"
    )
    settings: Settings
    decided_by: DecidedBy = None


class MeasureCell(Strict):
    """Measure a teacher and some of its students, interleaved on the same device."""

    kind: Literal["measure"] = "measure"
    id: str
    title: str
    needs: list[str]
    models: Annotated[list[ModelRef], Field(min_length=1)]
    meters: dict[str, dict[str, Any]]
    workload: TaskSpec | None
    settings: Settings
    decided_by: DecidedBy = None


Cell = Annotated[MakeCell | EvaluateCell | MeasureCell, Field(discriminator="kind")]
CELL: TypeAdapter[MakeCell | EvaluateCell | MeasureCell] = TypeAdapter(Cell)


def models_of(cell: MakeCell | EvaluateCell | MeasureCell) -> list[ModelRef]:
    """Return every model a cell opens."""
    if isinstance(cell, EvaluateCell):
        return [cell.model, *([cell.reference] if cell.reference else [])]
    if isinstance(cell, MeasureCell):
        return list(cell.models)
    return [*cell.teachers, *([cell.start] if cell.start else [])]
