"""What an executor is given and what it answers: a job, what it needs of a machine, and how it ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Resources:
    """What a job needs of a machine. The local engine gives it the whole one; a cluster reserves this much."""

    cpus: float = 1.0
    gpus: float = 0.0
    memory: int | None = None  # bytes; None: not known, nothing is reserved
    estimated: bool = False  # the memory is what the plan expects, not what the suite says
    custom: tuple[tuple[str, float], ...] = ()  # resources that a cluster names itself
    alone: bool = False  # nothing else works on its machine at the time: a measurement


def enough(each: Sequence[Resources]) -> Resources:
    """Return what is enough for each of several, at least one, that do not work at the same time."""
    custom: dict[str, float] = {}
    for one in each:
        custom |= {name: max(amount, custom.get(name, 0.0)) for name, amount in one.custom}
    hungry = max((one for one in each if one.memory is not None), key=lambda one: one.memory or 0, default=None)
    return Resources(
        cpus=max(one.cpus for one in each),
        gpus=max(one.gpus for one in each),
        memory=hungry.memory if hungry else None,
        estimated=hungry.estimated if hungry else False,
        custom=tuple(sorted(custom.items())),
        alone=any(one.alone for one in each),
    )


@dataclass(frozen=True)
class CellLimit:
    """What a cell may use before it is ended; None: no limit. `every`: seconds between two looks at its memory."""

    seconds: float | None = None
    memory: int | None = None  # bytes
    silence: float | None = None  # seconds without a sign of progress
    every: float = 1.0


@dataclass(frozen=True)
class Job:
    """Cells that share one process: the same loaded model."""

    ids: list[str]
    threads: int
    variables: frozenset[str] = frozenset()  # of the environment, that a model asks for by name
    processes: int = 1  # that train one model together
    resources: Resources = field(default_factory=Resources)
    limits: Mapping[str, CellLimit] = field(default_factory=dict)  # by cell


@dataclass(frozen=True)
class Ended:
    """How a worker ended: its exit code (negative: a signal) and the end of its log.

    `why`: in words, where more is known than the code says, such as which limit it exceeded.
    """

    code: int
    tail: str
    lost: str | None = None  # why its machine or its worker went away: no fault of the cell, which may be tried again
    why: str | None = None


Event = dict[str, Any]  # what a worker says while it is at work: {"event": "started" | "progress" | …, …}
