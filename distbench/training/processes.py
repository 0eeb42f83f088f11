"""The processes that train one model together, or hold a part of it each, as torchrun or `accelerate launch` starts
them: who this one is, and what they tell one another. Alone, nothing here does anything.

Every process reads the same rows, so all could say what the first says; but a decision that ends a loop must be the
same everywhere to the last bit, and clocks differ.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from distbench import plugins
from distbench.errors import UsageError
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, ModelRef, Settings, models_of
from distbench.schema.strict import Use
from distbench.schema.training import Launch

PATIENCE = timedelta(days=2)  # the others wait that long while the first records a teacher
T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """`count` processes; this one is `rank`, counted from 0, and `local_rank` on its machine."""

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @classmethod
    def here(cls) -> Processes:
        """Return what torchrun or accelerate put into the environment."""
        rank, count, local = (int(os.environ.get(name, other)) for name, other in _VARIABLES.items())
        return cls(rank, count, local)

    @property
    def leads(self) -> bool:
        """Whether this is the process that looks, writes and reports."""
        return self.rank == 0

    def check(self, launch: Launch | None) -> None:
        """Raise UsageError where other processes are there than the suite asks for."""
        self.check_count(launch.processes if launch else 1)

    def check_count(self, asked: int) -> None:
        """Raise UsageError where other processes are there than are asked for."""
        if self.count != asked:
            raise UsageError(
                f"the suite asks for {asked} {'process' if asked == 1 else 'processes'} (launch), and this is one of "
                f"{self.count}; start it with torchrun --nproc-per-node {asked}, or with `distbench run`"
            )

    def own(self, settings: Settings) -> Settings:
        """Return the settings of this process: its device, and its part of the threads."""
        if self.count == 1:
            return settings
        device = settings.device if settings.device == "cpu" else f"cuda:{self.local_rank}"
        threads = settings.threads and max(1, settings.threads // self.count)
        return settings.model_copy(update={"device": device, "threads": threads})

    @contextmanager
    def together(self, settings: Settings) -> Iterator[None]:
        """Join the others; part from them at the end."""
        if self.count == 1:
            yield
            return
        import torch
        from torch import distributed

        if settings.device != "cpu":
            torch.cuda.set_device(torch.device(settings.device))
        distributed.init_process_group("gloo" if settings.device == "cpu" else "nccl", timeout=PATIENCE)
        yield
        distributed.destroy_process_group()  # after a failure the process ends, and torchrun ends the others

    @contextmanager
    def first_alone(self) -> Iterator[None]:
        """Let the first process go through a block before the others."""
        if not self.leads:
            self.wait()
        yield
        if self.leads:
            self.wait()

    def wait(self) -> None:
        """Wait for all."""
        if self.count > 1:
            from torch import distributed

            distributed.barrier()

    def shared(self, value: T) -> T:
        """Return the first process's value."""
        if self.count == 1:
            return value
        from torch import distributed

        box = [value]
        distributed.broadcast_object_list(box, src=0)
        return box[0]

    def step(self, loss: float, seconds: float, device: Any) -> tuple[float, float]:
        """Return the mean of a step's losses, and the first process's seconds: from here on all decide alike."""
        if self.count == 1:
            return loss, seconds
        import torch
        from torch import distributed

        both = torch.tensor([loss / self.count, seconds if self.leads else 0.0], dtype=torch.float64, device=device)
        distributed.all_reduce(both)
        mean, clock = both.tolist()
        return mean, clock


def held_by(ref: ModelRef) -> int:
    """Return how many processes hold a model when it is opened; 1 where its plug-in divides none."""
    ask = getattr(plugins.load("models", ref.use), "processes", None)
    return int(ask(plugins.options("models", Use(use=ref.use, **ref.options)))) if ask and ref.options else 1


def processes_of(cell: MakeCell | EvaluateCell | MeasureCell) -> int:
    """Return how many processes run a cell."""
    if isinstance(cell, MakeCell):
        return cell.train.launch.processes if cell.train and cell.train.launch else 1
    return max(held_by(ref) for ref in models_of(cell))


_VARIABLES = {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
