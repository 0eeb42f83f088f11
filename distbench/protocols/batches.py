"""How much is asked of a model at once, where memory may end: half as much is asked then, if whoever asks allows it.

An evaluation does: how many are asked together decides its time, and of its answers the last digits only. A
measurement does not: it would be one of another batch than it says.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TypeVar

from distbench.errors import is_out_of_memory
from distbench.schema.record import BatchHalved

T = TypeVar("T")


@dataclass
class _Allowed:
    explain: Callable[[BaseException], str]
    say: Callable[[BatchHalved], None]
    found: list[BatchHalved] = field(default_factory=list)


_allowed: ContextVar[_Allowed | None] = ContextVar("batches may shrink", default=None)


@contextmanager
def batches_may_shrink(
    explain: Callable[[BaseException], str], say: Callable[[BatchHalved], None]
) -> Iterator[list[BatchHalved]]:
    """Allow every `Batch` used inside to shrink, and give the list of how they did.

    `explain` puts a lack of memory into words; `say` hears of each halving when it happens.
    """
    allowed = _Allowed(explain, say)
    token = _allowed.set(allowed)
    try:
        yield allowed.found
    finally:
        _allowed.reset(token)


class Batch:
    """So many `unit` (such as "tokens") at once. A size that was too much stays too much: it never grows again."""

    def __init__(self, size: int, unit: str) -> None:
        self.size, self.unit = size, unit

    def run(self, ask: Callable[[int], T]) -> T:
        """Return `ask(size)`, called again with half the size as often as memory ends, down to 1.

        `ask` has to go on where it was: what it has answered is its own to keep. Raises what `ask` raises where that is
        no lack of memory, where one alone is too much already, or where nobody allowed the batch to shrink.
        """
        while True:
            try:
                return ask(self.size)
            except Exception as error:
                allowed = _allowed.get()
                if allowed is None or self.size <= 1 or not is_out_of_memory(error):
                    raise
                half = BatchHalved(
                    unit=self.unit, before=self.size, after=self.size // 2, reason=allowed.explain(error)
                )
            free_memory()  # only now: while the error was there, its frames held what did not fit
            self.size = half.after
            allowed.found.append(half)
            allowed.say(half)


def free_memory() -> None:
    """Give back what a batch that did not fit has left, on the host and on the GPU."""
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.empty_cache()
