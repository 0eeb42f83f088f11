"""What makes a student: data, objective, start, fewer bits, another runtime."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from distbench.protocols.task import Progress
from distbench.schema.cell import Settings


@dataclass(frozen=True)
class TrainingRecipe:
    """How a model learns, whatever its family. None = the learner's own default, recorded when it is used."""

    objective: str  # "soft" (teacher's distribution) | "hard" (labels)
    temperature: float = 1.0
    label_weight: float = 0.0  # weight of the cross-entropy on labels in a soft objective
    epochs: float | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    seed: int = 0


@dataclass
class LearnReport:
    """What learning did: see `distbench.schema.record.Training`."""

    steps: int | None
    units: int
    epochs: float
    heldout_before: float | None
    heldout_after: float | None
    heldout_n: int
    loss: list[tuple[int, float]] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)


class Signal(Protocol):
    """What a student learns from: inputs, and the teacher's outputs or labels for them, with a held-out part."""

    kind: str  # "tokens" | "features"
    digest: str
    examples: int


class DataSource(Protocol):
    """Makes a training signal. With a teacher it records the teacher's distribution; the cache key is content."""

    Options: ClassVar[type[BaseModel]]
    yields: ClassVar[str]  # the signal's kind
    needs: ClassVar[frozenset[str]]  # of the teacher; empty where labels suffice

    def __init__(self, options: BaseModel) -> None: ...

    def signal(self, teachers: list[Any], temperature: float, seed: int, progress: Progress) -> Any:
        """Return the signal. `teachers` is empty when only labels are wanted."""
        ...

    def identity(self) -> dict[str, Any]:
        """Return what decides the data besides the options (a data set's digest)."""
        ...


class Method(Protocol):
    """A training objective: what is asked of the teachers, and what the student minimises."""

    Options: ClassVar[type[BaseModel]]
    uses_teacher: ClassVar[bool]
    control: ClassVar[str]  # name of the method that is this one's no-teacher control

    def __init__(self, options: BaseModel) -> None: ...

    def recipe(self, seed: int) -> TrainingRecipe:
        """Return the recipe that the student's `learn` follows."""
        ...


class Initialiser(Protocol):
    """Makes the untrained student."""

    Options: ClassVar[type[BaseModel]]
    needs: ClassVar[frozenset[str]]  # of the parent; empty: no parent is opened
    makes: ClassVar[str | None]  # the model plug-in of the result; None: the parent's

    def __init__(self, options: BaseModel) -> None: ...

    def make(self, parent: Any, settings: Settings) -> Any:
        """Return the untrained student as a loaded model."""
        ...


class Quantiser(Protocol):
    """Rewrites a loaded model in fewer bits."""

    Options: ClassVar[type[BaseModel]]
    needs: ClassVar[frozenset[str]]

    def __init__(self, options: BaseModel) -> None: ...

    def quantise(self, model: Any) -> Any:
        """Return the quantised model."""
        ...


class Deployment(Protocol):
    """Rewrites a loaded model for another runtime: the last step of a student.

    How well the result agrees with its source is measured when it is made, on the host in float32. An `exact` one must
    agree; a lossy one is reported.
    """

    Options: ClassVar[type[BaseModel]]
    needs: ClassVar[frozenset[str]]  # of the model that is rewritten
    makes: ClassVar[str]  # the model plug-in that opens the result; it says in `requires` what must be installed
    quantised: ClassVar[bool]  # whether it can follow a 'quantise' step
    requires: ClassVar[tuple[str, ...]]  # top-level modules that `export` imports beyond distbench's own dependencies

    def __init__(self, options: BaseModel) -> None: ...

    def exact(self, settings: Settings) -> bool:
        """Return whether the result, opened with `settings`, computes in float32: then it must say the same."""
        ...

    def opens(self) -> dict[str, Any]:
        """Return the options with which the result is opened: keys of the model plug-in's `Options`."""
        ...

    def export(self, model: Any, folder: Path) -> None:
        """Write `model`, which stays as it is, to `folder` (it exists and is empty)."""
        ...
