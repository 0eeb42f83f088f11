"""Engines: where the jobs of a run are at work; `--engine` chooses one among the plug-ins `distbench.executors`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Protocol, Self

from pydantic import BaseModel

from distbench import plugins
from distbench.executors.job import Ended, Event, Job, Resources
from distbench.schema.strict import Use


class Executor(Protocol):
    """Has the jobs of one run worked, each in a process of its own."""

    slots: int  # jobs that can be at work at once, as far as is known; 1: one after the other, on this machine
    retries: int  # how often a cell is tried again whose machine or worker was lost

    def submit(self, job: Job) -> None:
        """Take a job. With one slot it is the only one until `wait` returned it."""
        ...

    def wait(self, on_event: Callable[[Job, Event], None]) -> tuple[Job, Ended]:
        """Return the next job that ended, and how; until then say what the jobs at work tell, in their order.

        With several slots, {"event": "clock"} says now and then that time passes while nobody tells anything.
        """
        ...

    def cancel(self, jobs: Sequence[Job]) -> None:
        """End jobs, at work or waiting. Then their processes are gone, what they had finished is in the run, and
        nothing is heard of them any more."""
        ...

    def stop(self) -> None:
        """End every job that is still at work, with all its processes."""
        ...


class Engine(Protocol):
    """Makes the executor of a run. Entered before a suite is planned, left when everything ended.

    A plug-in of the group `distbench.executors`. Its class is loaded to list the engines: import libraries inside
    methods, and name those of an extra in `requires`.
    """

    Options: ClassVar[type[BaseModel]]
    elsewhere: ClassVar[bool]  # cells run on other machines: the devices of this one do not matter

    def __init__(self, options: BaseModel) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def check(self, wanted: Iterable[tuple[str, Resources]]) -> None:
        """Raise EnvironmentFault for the first (title of a cell, what it reserves) that can never be had."""
        ...

    def executor(self, run: Path) -> Executor:
        """Return what runs the jobs of a run directory."""
        ...


def engine_of(name: str, options: Mapping[str, object]) -> Engine:
    """Return an engine that is not entered yet.

    Raises UsageError for an unknown name or option, EnvironmentFault where its extra is not installed.
    """
    kind = plugins.load("executors", name)
    plugins.check_installed("executors", name)
    chosen: Engine = kind(
        plugins.options("executors", Use(use=name, **{k: v for k, v in options.items() if v is not None}))
    )
    return chosen
