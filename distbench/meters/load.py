"""How long a model takes to load in a fresh process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

from distbench.protocols import LoadFacts, Quantity, Reading, Usable, WorkAt, Workload
from distbench.schema.strict import Strict

LOAD = Quantity("load_seconds", "s", False, "first open in a fresh process, libraries imported, file cache as found")


class LoadOptions(Strict):
    """Options of `measure: {load: {}}`: none."""


class LoadMeter:
    """Seconds from the call to a model that can answer."""

    Options = LoadOptions
    repeats: ClassVar[bool] = False

    @classmethod
    def usable(cls) -> Usable:
        """A clock is everywhere."""
        return Usable(True, "perf_counter_ns around the opening of a model in a fresh process")

    def __init__(self, options: LoadOptions) -> None:
        self.options = options

    def quantities(self) -> list[Quantity]:
        """Return the one quantity."""
        return [LOAD]

    def workloads(self, model: Any, work_at: WorkAt) -> Iterator[Workload]:
        """Nothing: a process loads once."""
        yield from ()

    def once(self, model: Any, work_at: WorkAt, load: LoadFacts) -> list[Reading]:
        """Return the seconds of this process's load."""
        return [Reading(LOAD, load.seconds)]
