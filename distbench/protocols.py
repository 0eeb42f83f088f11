"""What a plug-in must be. Small protocols and the values they exchange; nothing here asks "which modality is it".

A capability is a word. A model class `offers` words, a task, method or meter `needs` words; `needs - offers` is checked
at plan time, before a model is loaded. The words of the built-ins:

* ``causal-lm``   the model has `.module` (torch, logits over token ids) and `.tokenizer`
* ``language``    can be asked about text, whatever runs it: see `Language`
* ``decode``      `prompts(batch, length, seed)` makes inputs, `decode(prompts, n) -> Decoded` answers them greedily
                  with exactly n tokens each
* ``answer``      `answer(prompt, n) -> Decoded` of one prompt, from any number of threads; nothing is queued here
* ``served``      computes in another process, maybe on another machine: only meters that are `at_a_distance` read it
* ``cache``       `cache_bytes(prompts)` -> bytes of the key-value cache after these prompts
* ``weights``     `weight_bytes()` -> bytes of the weights in memory, in the dtype they have there, tied ones once
* ``classify``    `classify(x) -> probabilities`, x [n, features] float32 -> [n, classes] float64, rows sum to 1
* ``layers``      decoder blocks can be dropped: `keep_layers(indices)`
* ``int8``        linear layers can be replaced by int8 ones: `quantise_int8()`
* ``learn``       can be trained: `learn(signal, recipe, progress)`
* ``save``        can be written: `save(folder)`
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, NamedTuple, Protocol, Self, runtime_checkable

from pydantic import BaseModel

from distbench.schema.cell import Settings
from distbench.schema.record import (
    DrawnFacts,
    Footprint,
    MetricKind,
    RatioKind,
    SampleStatus,
    ScorerFacts,
    SeriesStatus,
)
from distbench.schema.suite import TaskSpec

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what): how far a cell is. Cheap; call it as often as a unit of work ends."""


@dataclass(frozen=True)
class Resolved:
    """A source that was found: where it lies, what it is, and where it came from in words."""

    path: Path | None  # None: it is served at `address`
    identity: str
    origin: str
    converts: bool = False  # True: it must be rewritten into this plug-in's own format before use (GGUF)
    notes: tuple[str, ...] = ()
    address: str | None = None  # URL of a model whose content nobody here can hash: no other run reuses its results


@runtime_checkable
class Model(Protocol):
    """A loaded model. Its verbs are the methods that its `offers` promise."""

    Options: ClassVar[type[BaseModel]]
    offers: ClassVar[frozenset[str]]
    learns: ClassVar[frozenset[str]]  # kinds of training signal: "tokens", "features"
    # Optional: `requires`, top-level modules beyond distbench's own dependencies, checked before anything runs;
    # `devices`, kinds of device it runs on ({"cpu"}); without it the plug-in refuses by itself.
    # `variables(options)`, a class method: environment variables that it reads; a child's environment lacks others.

    @classmethod
    def resolve(cls, source: str, directory: Path) -> Resolved:
        """Find a source without loading it (no torch). Relative paths start at `directory`."""
        ...

    @classmethod
    def warm_up(cls) -> None:
        """Import the libraries that `open` needs: what a measurement of load time leaves out."""
        ...

    @classmethod
    def open(cls, path: Path, settings: Settings, options: Any = None) -> Self:
        """Load from a folder that `resolve` or `save` left, in evaluation mode.

        `options` is an instance of `Options`: how the model is opened, such as its attention kernel; None: defaults.
        """
        ...

    def footprint(self) -> Footprint:
        """Sizes of the loaded model; `None` for a size that does not exist for it."""
        ...


Stop = Callable[[Sequence[int]], bool]
"""Asked after every generated token, with all generated so far: whether that was the last one."""


class Language(Protocol):
    """The capability ``language``: one sequence of token ids at a time, through whatever runs the model.

    A task asks these verbs of a model that has no torch module. `logits` and `continue_greedily` are also what an
    exported model is compared with its source by.
    """

    tokenizer: Any  # as transformers has it
    context_length: int  # positions
    ends: frozenset[int]  # tokens after which nothing is written
    engine: str  # what computes, with its version

    def logits(self, ids: Sequence[int]) -> Any:
        """Return float32 logits [len(ids), vocabulary] on the host: row i is about the token after ids[i]."""
        ...

    def score(self, context: Sequence[int], continuation: Sequence[int]) -> tuple[float, bool]:
        """Return the log-probability of `continuation` after `context` in nats, and whether it is the greedy one.

        Both have at least one token, and together at most `context_length` + 1.
        """
        ...

    def continue_greedily(self, ids: Sequence[int], most: int, stop: Stop | None = None) -> list[int]:
        """Return at most `most` greedy tokens after `ids`; an end-of-text token ends nothing unless `stop` says so."""
        ...


@dataclass(frozen=True)
class Sample:
    """One row of samples.parquet: one document under one metric. The only input of the statistics."""

    task: str
    sample_id: str
    metric: str
    score: float | None
    status: SampleStatus = "ok"
    cluster: str | None = None
    groups: dict[str, str] = field(default_factory=dict)  # subgroup dimension → value, such as {"dialect": "AAVE"}
    length: int | None = None  # of the context, in the task's nominal tokens: what a context curve is drawn over
    numerator: float | None = None
    denominator: float | None = None
    prediction: str = ""
    label: str = ""
    prompt: str = ""
    confidence: float | None = None  # probability of the prediction
    label_probability: float | None = None  # probability of the label
    loglikelihood: float | None = None  # of the label (or of the document), nats
    n_bytes: int | None = None  # UTF-8 bytes that `loglikelihood` covers
    answer_digest: str = ""


@dataclass(frozen=True)
class Metric:
    """What a metric means."""

    name: str
    primary: bool
    kind: MetricKind
    higher_is_better: bool = True
    baseline: float = 0.0
    best: float = 1.0
    neutral: float | None = None  # set for a bias rate: the unbiased value; it is compared by transfer, not retention
    reference: bool = False  # a statement about this model against its teacher, such as a divergence: no other side


@dataclass(frozen=True)
class Outcome:
    """What a task returns: every sample under every metric, and what the samples were."""

    samples: list[Sample]
    metrics: list[Metric]
    version: str
    engine: str
    data_digest: str
    prompt_digest: str
    chat_template: str | None = None
    drawn: DrawnFacts | None = None
    scorer: ScorerFacts | None = None


@dataclass(frozen=True)
class Shape:
    """How large one unit of inference work is. Token counts mean nothing to a model that answers at once."""

    batch: int = 1
    prompt_tokens: int = 64
    output_tokens: int = 32


@dataclass(frozen=True)
class Timing:
    """One finished unit of work. marks_ns: when each of its outputs was known, ns after its start, ascending.

    A model that answers at once has one mark. Token counts are sums over the batch; None where there are no tokens.
    """

    marks_ns: tuple[int, ...]
    samples: int
    prompt_tokens: int | None = None
    output_tokens: int | None = None


Work = Callable[[], Timing]
"""Does one unit of work. The device has finished when it returns."""


@dataclass(frozen=True)
class Decoded:
    """What `decode` returns: token ids [batch, n], and ns from the start to the moment each column was known, [n].

    A server sends pieces of text instead of ids: `tokens` is None, `lengths` says how many tokens each prompt got
    [batch], and the marks are arrivals of pieces, of which one may hold several tokens. For a batch, mark k is the
    moment when every prompt had its k-th piece (or its last). `prompt_tokens` is what the server counted, over the
    batch; None where it does not tell.
    """

    tokens: Any
    marks_ns: tuple[int, ...]
    lengths: tuple[int, ...] | None = None
    prompt_tokens: int | None = None


class Task(Protocol):
    """An accuracy measurement. It owns its loop: it asks the model whatever it needs."""

    Options: ClassVar[type[BaseModel]]
    needs: ClassVar[frozenset[str]]

    @classmethod
    def resolve(cls, spec: TaskSpec, directory: Path) -> TaskSpec | list[TaskSpec]:
        """Check the task without loading a model (no torch): paths become absolute, unknown names are refused.

        A name that stands for several tasks gives them all.
        """
        ...

    @classmethod
    def identity(cls, spec: TaskSpec) -> dict[str, Any]:
        """Return what decides the samples besides the spec: digests of data and code, versions."""
        ...

    def __init__(self, spec: TaskSpec) -> None: ...

    def run(self, model: Any, settings: Settings, progress: Progress) -> Outcome:
        """Ask `model` every sample."""
        ...

    def work(self, model: Any, shape: Shape, seed: int) -> Work:
        """Return one unit of what this task asks of a model, at a size: what a meter repeats."""
        ...


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


@dataclass(frozen=True)
class Quantity:
    """What a meter reads. Units are SI or bytes; the unit stands in every record."""

    name: str
    unit: str
    higher_is_better: bool
    method: str
    ratio: RatioKind = "paired"


@dataclass(frozen=True)
class Missing:
    """Why a quantity has no value this time, and what would help.

    `final` says that no value of the series can be trusted any more, earlier ones included: a counter ran backwards.
    """

    reason: str
    remedy: str = ""
    final: bool = False


Readings = dict[str, float | list[float] | Missing]
"""What one repetition read, by quantity. A list holds several raw values of one repetition, such as gaps of tokens."""


@dataclass(frozen=True)
class About:
    """Where readings come from. Values of two different scopes ("GPU board", "CPU package") are never compared.

    facts: numbers (SI units, the unit in the name) and words that a reader needs to judge the values.
    """

    scope: str | None = None
    status: SeriesStatus = "measured"
    facts: dict[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True)
class Workload:
    """One thing to repeat: a name such as "batch 8", and a call that does it once and returns its readings.

    The meter has not run it yet: whoever repeats it warms it up first, with `warm` where `run` takes much longer than
    the work itself. One that does no `work` (it says why there are no readings) needs no warm-up.
    """

    name: str
    run: Callable[[], Readings]
    warm: Callable[[], object] | None = None
    works: bool = True
    about: About = About()


WorkAt = Callable[[Shape], Work]
"""Gives the suite's unit of work at a size, for the model that is being measured."""


@dataclass(frozen=True)
class LoadFacts:
    """What was read while the model was being loaded in a fresh process. Bytes and seconds; None: not readable here.

    Everything that reads a model's memory counts from `rss_before`: Python and the libraries are in it already.
    """

    seconds: float
    rss_before: int | None
    rss_after: int | None
    peak: int | None = None  # from just before loading to its end
    peak_method: str = ""  # how `peak` was read


@dataclass(frozen=True)
class Reading:
    """One reading of a fresh process. A missing value carries its reason."""

    quantity: Quantity
    value: float | None
    workload: str = "process"
    reason: str | None = None
    remedy: str | None = None
    about: About = About()


class Usable(NamedTuple):
    """Whether a plug-in works on this machine, what was seen, and what to do where it does not."""

    usable: bool
    seen: str
    remedy: str = ""


SEARCH = "search"
"""The workload of readings that a search ended with: they are told to the meter in the launches that follow."""


class Meter(Protocol):
    """Reads numbers off a model at work, in a process of its own.

    Optional: a classmethod `located(options, directory)` that makes paths in its options absolute.
    A meter that `repeats` also has options `rounds`, `launches` and `max_seconds`; see `meters.repetition`. One that
    first searches for what to repeat (a batch size) does so in `once` and has `begin(launch, found)`: the number of
    the launch, and by quantity what an earlier launch's readings of the workload `SEARCH` said; where there are some,
    `once` is not called. `at_a_distance`: it can read a model that is served by another process.
    """

    Options: ClassVar[type[BaseModel]]
    repeats: ClassVar[bool]  # False: reads once per process, before any repeated work

    @classmethod
    def usable(cls) -> Usable:
        """Say whether this machine lets the meter read anything; `doctor` prints it. Loads no model."""
        ...

    def __init__(self, options: BaseModel) -> None: ...

    def quantities(self) -> list[Quantity]:
        """Return what `workloads` and `once` may read."""
        ...

    def workloads(self, model: Any, work_at: WorkAt) -> Iterator[Workload]:
        """Yield what is repeated."""
        ...

    def once(self, model: Any, work_at: WorkAt, load: LoadFacts) -> list[Reading]:
        """Return what can be read only once per process, before anything was repeated."""
        ...
