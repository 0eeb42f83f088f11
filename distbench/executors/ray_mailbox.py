"""What nodes tell the driver: one queue of letters, in the order in which they were posted."""

from __future__ import annotations

import asyncio
from typing import Any

from distbench.executors.job import Event

FULL = 32  # letters that nobody has read yet; a node waits then, so that large ones cannot fill the memory
Letter = tuple[int, Event]  # (number of a job's start, what it says)


class Mailbox:
    """An actor, beside the driver."""

    def __init__(self) -> None:
        self._letters: asyncio.Queue[Letter] = asyncio.Queue(FULL)

    async def post(self, number: int, event: Event) -> None:
        """Take a letter; returns when there was room for it."""
        await self._letters.put((number, event))

    async def take(self) -> list[Letter]:
        """Return all letters there are, one at least."""
        letters = [await self._letters.get()]
        while not self._letters.empty():
            letters.append(self._letters.get_nowait())
        return letters


def open_mailbox() -> Any:
    """Start the actor on the driver's node. It reserves nothing, and is gone with the driver."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    # not `soft`: Ray then puts it on another node now and then, and the run would end with that node
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    actor = ray.remote(Mailbox).options(num_cpus=0, max_concurrency=1000, scheduling_strategy=here)
    return actor.remote()
