"""What reads numbers off a model at work."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, NamedTuple, Protocol

from pydantic import BaseModel

from distbench.protocols.work import Shape, Work
from distbench.schema.record import RatioKind, SeriesStatus


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
