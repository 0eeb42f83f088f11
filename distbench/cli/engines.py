"""Where the cells of a command run: `--engine` and what belongs to it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from distbench.cli.output import err
from distbench.errors import UsageError
from distbench.executors.engine import Engine, engine_of
from distbench.plan.expand import Cell, Plan
from distbench.plan.resources import Reserve, resources_of, with_estimates
from distbench.schema.forecast import CellForecast


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


def reserved(
    engine: Engine, plan: Plan, cells: list[Cell], run: Path, forecasts: Mapping[str, CellForecast]
) -> Reserve:
    """Return what each cell of a plan reserves; on other machines also the memory that it is expected to take.

    Raises UsageError where that contradicts the suite, EnvironmentFault where the engine can never give it to a cell
    that is not finished in `run`.
    """
    stated = resources_of(plan)
    reserve = with_estimates(stated, forecasts) if engine.elsewhere else stated
    left = [cell for cell in cells if not (run / "cells" / cell.id).is_dir()]
    engine.check([(cell.title, reserve(cell)) for cell in left])
    if engine.elsewhere and (said := _unreserved([cell for cell in left if cell.id in forecasts], reserve)):
        err().print(said, markup=False, soft_wrap=True, highlight=False)
    return reserve


def _unreserved(cells: Sequence[Cell], reserve: Reserve) -> str | None:
    """Say for how many cells no memory is reserved; None: for all that share their machine some is."""
    sharing = [wanted for cell in cells if not (wanted := reserve(cell)).alone]
    without = sum(wanted.memory is None for wanted in sharing)
    if not without:
        return None
    return (
        f"no memory is reserved for {without} of {len(sharing)} cells: how much they take was not seen here; "
        "resources.memory in the suite says it"
    )
