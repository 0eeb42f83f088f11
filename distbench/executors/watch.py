"""Watch a worker from outside: its wall time, the memory that it holds with its children, and whether it says anything.

A thread that sleeps until something is due: nothing is looked at where nothing is limited. Memory has to be looked at
again and again; one look reads a few lines of /proc for each process, and measurements are looked at seldom.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import psutil

from distbench.executors.ending import end, family
from distbench.executors.job import CellLimit
from distbench.schema.limits import Limits, allowed_bytes
from distbench.schema.sizes import size_words

REPORTED_SILENCE = 1800.0  # seconds without a word after which a cell is reported, where no limit says otherwise
LOOK_SECONDS, LOOK_SECONDS_MEASURING = 1.0, 10.0

Said = Callable[[dict[str, object]], None]


def limit_of(limits: Limits | None, kind: Literal["make", "evaluate", "measure"]) -> CellLimit:
    """Return what a cell of a kind may use by the limits of its suite."""
    every = LOOK_SECONDS_MEASURING if kind == "measure" else LOOK_SECONDS
    if limits is None:
        return CellLimit(every=every)
    limit = limits.of(kind)
    return CellLimit(limit.seconds, allowed_bytes(limit), limit.silence, every)


class Watch:
    """Watches the worker that leads a process group, from entry to exit; ends it where its cell exceeds a limit.

    `limits`: by cell id. `say` hears {"event": "silent", "cell", "seconds"} once a silence; it is called from a thread.
    """

    def __init__(self, group: int, limits: Mapping[str, CellLimit], say: Said | None = None) -> None:
        self.group, self.limits, self.say = group, limits, say
        self.ended: str | None = None  # why this watch has ended the worker
        self.peak = 0  # the most bytes that were seen; 0: never looked
        self._cell = next(iter(limits), None)  # until it says so itself: a worker may hang before
        self._limit = limits[self._cell] if self._cell is not None else CellLimit()
        self._began = self._heard = self._looked = time.monotonic()
        self._reported = False
        self._changed = threading.Condition()
        self._over = False
        self._thread = threading.Thread(target=self._work, name=f"watch {group}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._over = True
            self._changed.notify()
        self._thread.join()

    def heard(self, event: Mapping[str, object]) -> None:
        """Take note of what the worker said."""
        with self._changed:
            self._heard, self._reported = time.monotonic(), False
            if event.get("event") == "started":
                self._cell, self._began = str(event["cell"]), self._heard
                self._limit = self.limits.get(self._cell, CellLimit())
                self._changed.notify()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _work(self) -> None:
        while True:
            with self._changed:
                if self._over:
                    return
                self._changed.wait(self._pause())
                if self._over:
                    return
                why, silent, look = self._due()
            if why is None and look:
                why = self._memory()
            if why is not None:
                self.ended = why
                end(self.group)
                return
            if silent is not None and self.say is not None:
                self.say({"event": "silent", "cell": self._cell, "seconds": silent})

    def _pause(self) -> float:
        """Return the seconds until something is due."""
        limit, now = self._limit, time.monotonic()
        moments = [self._heard + (limit.silence or REPORTED_SILENCE)] if not self._reported else []
        moments += [self._began + limit.seconds] if limit.seconds is not None else []
        moments += [self._looked + limit.every] if limit.memory is not None else []
        return min((max(0.0, moment - now) for moment in moments), default=REPORTED_SILENCE)

    def _due(self) -> tuple[str | None, float | None, bool]:
        """Return (why the worker is to be ended, how long it has been silent if that is to be said, look at memory)."""
        limit, now = self._limit, time.monotonic()
        look = limit.memory is not None and now - self._looked >= limit.every
        if limit.seconds is not None and now - self._began >= limit.seconds:
            return f"ended at its wall limit of {limit.seconds:g} s", None, look
        quiet = now - self._heard
        if limit.silence is not None and quiet >= limit.silence:
            return (
                f"ended after {quiet:.0f} s without a sign of progress (its limit is {limit.silence:g} s)",
                None,
                look,
            )
        if quiet >= REPORTED_SILENCE and not self._reported:
            self._reported = True
            return None, quiet, look
        return None, None, look

    def _memory(self) -> str | None:
        """Look at the memory of the worker and its children; return why it is to be ended, or None."""
        self._looked, allowed = time.monotonic(), self._limit.memory
        held = held_bytes(self.group, above=allowed or 0)
        self.peak = max(self.peak, held)
        if allowed is None or held <= allowed:
            return None
        return f"ended at its memory limit: it held {size_words(held)} of {size_words(allowed)}"


def held_bytes(pid: int, above: int = 0) -> int:
    """Return the bytes of memory that a process and its descendants hold.

    That is the sum of their resident sizes, where pages that they share count once for each; where this sum is larger
    than `above`, shared pages are divided among those that share them (PSS), which takes the kernel longer to say.
    """
    members = family(pid)
    resident = sum(filter(None, (_resident(each) for each in members)))
    if resident <= above:
        return resident
    return min(resident, sum(_proportional(each) for each in members))


def _resident(process: psutil.Process) -> int:
    with contextlib.suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _proportional(process: psutil.Process) -> int:
    try:
        lines = Path(f"/proc/{process.pid}/smaps_rollup").read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
    except (OSError, StopIteration):  # gone, not ours, or not Linux
        return _resident(process)
