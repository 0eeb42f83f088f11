"""In which order rows are learned from, and who learns from which: the same rows a step, however many processes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from distbench.training.processes import Processes

ABSENT = -1  # no row: its process has one less than the others


@dataclass(frozen=True)
class Dealer(torch.utils.data.Sampler[int]):
    """Row numbers in the order of a seed and a pass, batch by batch.

    accelerate gives every process in turn the next `width` of them. A batch that does not divide is filled up with
    `ABSENT`, so that all take as many steps and no row is learned from twice.
    """

    rows: int
    batch_size: int
    seed: int
    present: Callable[[], int]  # the number of the pass that is about to begin
    processes: Processes

    @property
    def width(self) -> int:
        """Rows of a batch that one process gets, at most."""
        return -(-self.batch_size // self.processes.count)

    def __len__(self) -> int:
        if self.processes.count == 1:
            return self.rows
        return -(-self.rows // self.batch_size) * self.width * self.processes.count

    def __iter__(self) -> Iterator[int]:
        shuffled = torch.randperm(self.rows, generator=torch.Generator().manual_seed(self.seed + self.present()))
        order: list[int] = shuffled.tolist()
        if self.processes.count == 1:
            yield from order
            return
        for first in range(0, self.rows, self.batch_size):
            batch = order[first : first + self.batch_size]
            for rank in range(self.processes.count):
                part = batch[rank :: self.processes.count]
                yield from part + [ABSENT] * (self.width - len(part))
