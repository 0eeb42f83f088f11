"""What makes a student: data, objective, start, fewer bits, another runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from distbench.protocols.task import Progress
from distbench.schema.cell import Settings
from distbench.schema.training import Budget, Launch, TeacherOutputs, Term


@dataclass(frozen=True)
class TrainingRecipe:
    """How a model learns, whatever its family."""

    terms: tuple[Term, ...]
    budget: Budget = field(default_factory=Budget)
    seed: int = 0
    on_policy: float = 0.0  # share of batches that the student writes itself
    teacher_outputs: TeacherOutputs = "auto"

    @property
    def temperature(self) -> float:
        """The temperature of the terms that soften the teacher's distribution; 1 where none does."""
        return next((float(term.options["temperature"]) for term in self.terms if "temperature" in term.options), 1.0)


class TeacherHandle(Protocol):
    """A teacher that is loaded only when its outputs are wanted."""

    @property
    def identity(self) -> str:
        """What it is, for cache keys."""
        ...

    @property
    def writer(self) -> str:
        """What decides the text that it writes: as `identity`, without how often or how patiently it is asked."""
        ...

    @property
    def offers(self) -> frozenset[str]:
        """What can be asked of it."""
        ...

    def open(self) -> Any:
        """Load it."""
        ...

    def tokenizer(self) -> Any:
        """Load its tokenizer alone; None where nobody here has it."""
        ...


@dataclass(frozen=True)
class SignalRequest:
    """What a data source is asked for."""

    teachers: Sequence[TeacherHandle]  # empty where only labels are wanted
    weights: tuple[float, ...] = ()  # of the teachers in their mixture, summing to 1
    temperature: float = 1.0
    seed: int = 0
    record: bool = True  # keep the teacher's distribution of the training part; False: it is asked while training
    asks: frozenset[str] = frozenset()  # what the objective wants of the teachers: see `Loss.asks`
    tokenizer: Callable[[], Any] | None = None  # loads that of the model which will learn
    progress: Progress = field(default=lambda done, total, what: None)


@dataclass(frozen=True)
class LearnSession:
    """What a learner may use besides its data."""

    progress: Progress = field(default=lambda done, total, what: None)
    scratch: Path | None = None  # a folder that survives a killed process; None: nothing to resume from
    teachers: Sequence[TeacherHandle] = ()  # for outputs that were not recorded
    weights: tuple[float, ...] = ()
    launch: Launch | None = None  # the processes that train together; None: this one alone
    board: Path | None = None  # where TensorBoard looks; None: nowhere


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
    heldout: list[tuple[int, float]] = field(default_factory=list)  # looks: (step, held-out value)
    kept_step: int | None = None  # the step whose weights were kept
    stopped: str = "budget"  # "budget" | "patience" | "seconds"
    resumed_from: int | None = None  # step of the checkpoint that a killed training went on from


class Signal(Protocol):
    """What a student learns from: inputs, and the teacher's outputs or labels for them, with a held-out part."""

    kind: str  # "tokens" | "features" | "texts" | "images"
    digest: str
    examples: int
    seconds: float
    from_cache: bool


class DataSource(Protocol):
    """Makes a training signal. With a teacher it records the teacher's distribution; the cache key is content.

    Optional: `paths`, the options that are paths (a path, a list or a mapping): they start at the suite's folder and
    stay out of ids, so `identity` hashes what lies there. `needs_for(asks)`: what a teacher must offer besides, for an
    objective that asks this of it (see `Loss.asks`); `needs_of_student(asks)`: what the student must. `online`: True
    where teachers can be asked while a student trains, or what they can be asked then.
    """

    Options: ClassVar[type[BaseModel]]
    yields: str  # the signal's kind; an attribute of the class, or of the instance where the options decide it
    needs: ClassVar[frozenset[str]]  # of the teacher; empty where labels suffice

    def __init__(self, options: BaseModel) -> None: ...

    def signal(self, ask: SignalRequest) -> Any:
        """Return the signal."""
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


class Loss(Protocol):
    """A term of an objective, computed by a torch learner.

    `reads` is what it compares of student and teacher: "logits", "hidden" or "attention". `asks` is what it wants of
    the teacher: "nothing" (labels), "distribution" (its most likely tokens and the rest suffice), "logits" (all, before
    the softmax), "hidden", "attention". What such a loss implements stands in `distbench.losses`.
    """

    Options: ClassVar[type[BaseModel]]
    reads: ClassVar[str]
    asks: ClassVar[str]

    def __init__(self, options: BaseModel) -> None: ...


class Initialiser(Protocol):
    """Makes the untrained student."""

    Options: ClassVar[type[BaseModel]]
    needs: ClassVar[frozenset[str]]  # of the parent; empty: no parent is opened
    makes: ClassVar[str | None]  # the model plug-in of the result; None: the parent's
    # Optional: `untrained`, True where the result has random weights although a parent is opened;
    # `paths`, names of options that are paths ("calibration.texts"): they start at the suite's folder;
    # `identity()`: what decides the result besides the options (a file's digest);
    # `fits(folder)`: raises UsageError where the parent's files show, before it is loaded, that this cannot be made;
    # `notes`, after `make`: what was chosen, such as the blocks that were kept, for the record.

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
