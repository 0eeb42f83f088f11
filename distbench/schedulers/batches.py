"""Jobs of a stage that want the same of a machine: one array of a scheduler."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from distbench.executors.job import Resources, enough
from distbench.schedulers.stages import Cell, Stage


@dataclass(frozen=True)
class Batch:
    """Some jobs of a stage, by number, that reserve the same."""

    stage: Stage
    resources: Resources
    indexes: list[int] = field(default_factory=list)

    @property
    def cpus(self) -> int:
        """Whole CPUs of a job."""
        return math.ceil(self.resources.cpus)

    @property
    def gpus(self) -> int:
        """Whole GPUs of a job: here none is shared."""
        return math.ceil(self.resources.gpus)


@dataclass(frozen=True)
class Prepared:
    """A run directory that holds a plan, and what there is left to do in it."""

    run: Path
    suite: str
    folder: Path  # where the plan was made: relative paths in it begin here
    stages: list[Stage]
    batches: list[Batch]
    variables: frozenset[str] = frozenset()  # of the environment, that models ask for by name: keys of servers

    @property
    def cells(self) -> list[Cell]:
        """Every planned cell, in the order of the stages."""
        return [cell for stage in self.stages for job in stage.jobs for cell in job]


def batches_of(stages: Sequence[Stage], resources: Callable[[Cell], Resources], done: Collection[str]) -> list[Batch]:
    """Return what is left to do: the jobs with a cell that is not finished, by stage and by what they reserve."""
    batches: list[Batch] = []
    for stage in stages:
        mine: dict[Resources, list[int]] = {}
        for index, job in enumerate(stage.jobs):
            if any(cell.id not in done for cell in job):
                mine.setdefault(enough([resources(cell) for cell in job]), []).append(index)
        batches += [Batch(stage, wanted, indexes) for wanted, indexes in mine.items()]
    return batches


def waits_for(batch: Batch, batches: Sequence[Batch]) -> list[str]:
    """Return the stages that a batch waits for: those of its needs that are not finished."""
    pending = {each.stage.name for each in batches}
    return [name for name in batch.stage.after if name in pending]


def cache_variable() -> str | None:
    """Return where this environment says that the cache is: jobs use the same one."""
    given = os.environ.get("DISTBENCH_CACHE")
    return str(Path(given).expanduser().absolute()) if given and "://" not in given else given
