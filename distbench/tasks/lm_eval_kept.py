"""Requests that outlive a model: built and tokenised once in a process, forgotten when they take too much memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from distbench.tasks.drawing import Drawn
from distbench.tasks.lm_eval_answers import Prepared

# Bytes of texts and tokens, generous: a run asks all tasks of one model, then all of the next, so a limit below what
# they take together would keep each of them until just before it is needed.
LIMIT = 512 * 2**20


class Kept:
    """The requests of the last tasks asked, least recently used first. The last one stays whatever its size."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.limit = limit
        self._known: OrderedDict[str, tuple[Prepared, Drawn]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: str, build: Callable[[], tuple[Prepared, Drawn]]) -> tuple[Prepared, Drawn]:
        """Return what is kept under `key`, else build it. The key says everything that decides the requests."""
        if key not in self._known:
            self._known[key] = build()
        self._known.move_to_end(key)
        return self._known[key]

    def trim(self) -> None:
        """Forget what has not been asked for longest, until the rest is small enough."""
        sizes = {key: prepared.size for key, (prepared, _) in self._known.items()}
        while len(self._known) > 1 and sum(sizes.values()) > self.limit:
            oldest, _ = self._known.popitem(last=False)
            del sizes[oldest]
