"""Letters on their way to the driver, in their order: whoever writes one does not wait until it is read."""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import SimpleQueue
from types import TracebackType
from typing import Self

from distbench.executors.job import Event

FULL = 4  # letters that are not delivered yet; then the writer does wait, so that large ones cannot fill the memory


class Outbox:
    """Sends letters one after the other from a thread of its own; left without an exception, it has sent them all.

    That thread is also why: a Ray task that waits for Ray in its main thread gives its CPUs back meanwhile, and Ray
    would put another task, or a measurement, beside the cell that is at work.
    """

    def __init__(self, deliver: Callable[[Event], object]) -> None:
        """`deliver` returns when a letter has arrived; what it raises once is raised by every later `post`."""
        self._deliver = deliver
        self._letters: SimpleQueue[Event | None] = SimpleQueue()
        self._room = threading.Semaphore(FULL)
        self._fault: Exception | None = None
        # not waited for where the task is cancelled: nobody reads any more
        self._thread = threading.Thread(target=self._work, name="outbox", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._letters.put(None)
        if kind is not None and not issubclass(kind, Exception):
            return
        self._thread.join()
        if self._fault is not None and kind is None:
            raise self._fault

    def post(self, event: Event) -> None:
        """Send a letter; may be called from any thread."""
        if self._fault is not None:
            raise self._fault
        self._room.acquire()
        self._letters.put(event)

    def _work(self) -> None:
        while (letter := self._letters.get()) is not None:
            if self._fault is None:
                try:
                    self._deliver(letter)
                except Exception as error:  # noqa: BLE001 - the writer hears of it
                    self._fault = error
            self._room.release()
