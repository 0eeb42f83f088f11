"""Where the cells of a command run: `--engine` and what belongs to it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from distbench.errors import UsageError
from distbench.executors.engine import Engine, engine_of
from distbench.executors.job import Resources
from distbench.plan.expand import Cell, Plan
from distbench.plan.resources import Reserve, resources_of


@dataclass(frozen=True)
class EngineWish:
    """What the command line asked for."""

    name: str = "local"
    ray_address: str | None = None
    retries: int | None = None

    def words(self) -> list[str]:
        """Return these options as a command line has them."""
        words = [] if self.name == "local" else ["--engine", self.name]
        for option, value in (("--ray-address", self.ray_address), ("--retries", self.retries)):
            words += [] if value is None else [option, str(value)]
        return words

    def engine(self) -> Engine:
        """Return the engine, not entered yet: a cluster is connected when it is."""
        for option, value in (("--ray-address", self.ray_address), ("--retries", self.retries)):
            if value is not None and self.name == "local":
                raise UsageError(f"{option} means nothing on this machine alone; it belongs to --engine ray")
        return engine_of(self.name, {"address": self.ray_address, "retries": self.retries})


LOCAL = EngineWish()


def share_cache(place: str | None) -> None:
    """Have this command, and every process it starts, keep finished work at `place`: a folder or a URL."""
    if place is not None:
        os.environ["DISTBENCH_CACHE"] = place if "://" in place else str(Path(place).expanduser().absolute())


def reserved(engine: Engine, plan: Plan, cells: list[Cell], run: Path) -> Reserve:
    """Return what each cell of a plan reserves.

    Raises UsageError where that contradicts the suite, EnvironmentFault where the engine can never give it to a cell
    that is not finished in `run`.
    """
    reserve = resources_of(plan)
    wanted: list[tuple[str, Resources]] = [
        (cell.title, reserve(cell)) for cell in cells if not (run / "cells" / cell.id).is_dir()
    ]
    engine.check(wanted)
    return reserve
