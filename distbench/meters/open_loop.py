"""Serve requests that arrive at their own times: open loop. A late answer delays no arrival.

Every time counts from the *scheduled* arrival. A client that waits for an answer before it sends the next request, or
that counts from the moment of sending, leaves out exactly the requests that a stall would have hit (coordinated
omission: Tene, "How NOT to Measure Latency", https://www.infoq.com/presentations/latency-pitfalls/).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from time import perf_counter_ns

from distbench.errors import OverloadedError
from distbench.protocols import Decoded, Work


@dataclass(frozen=True)
class Request:
    """One request. Times in ns on the window's clock, which starts at 0.

    begun: its batch was started, or it was sent. marks: when its outputs were known, ascending; none: it was refused.
    tokens: generated; None: the model answers at once.
    """

    scheduled: int
    begun: int
    marks: tuple[int, ...]
    tokens: int | None

    @property
    def refused(self) -> bool:
        """Say whether the server did not take it."""
        return not self.marks


@dataclass(frozen=True)
class Time:
    """A clock in ns, and a way to let time pass in seconds: replaced by ones that do not wait, in tests."""

    now: Callable[[], int] = perf_counter_ns
    sleep: Callable[[float], None] = time.sleep

    def wait_until(self, moment_ns: int) -> None:
        """Return at `moment_ns` of this clock or later."""
        while (left := moment_ns - self.now()) > 0:
            self.sleep(left * 1e-9)


REAL = Time()


def serve_batches(
    arrivals: Sequence[int], work_of: Callable[[int], Work], max_batch: int, clock: Time = REAL
) -> list[Request]:
    """Let one worker take whatever waits, up to `max_batch` at a time, as one batch (static batching).

    work_of: the work of a batch of so many requests. Nobody joins a batch that has begun.
    """
    began, served = clock.now(), list[Request]()
    while len(served) < len(arrivals):
        ahead = arrivals[len(served) : len(served) + max_batch]
        clock.wait_until(began + ahead[0])
        begun = clock.now() - began
        batch = [moment for moment in ahead if moment <= begun]
        timing = work_of(len(batch))()
        marks = tuple(begun + mark for mark in timing.marks_ns)
        tokens = None if timing.output_tokens is None else timing.output_tokens // timing.samples
        served += [Request(moment, begun, marks, tokens) for moment in batch]
    return served


def serve_at_once(
    arrivals: Sequence[int], answer: Callable[[int], Decoded], wanted: int, clock: Time = REAL
) -> list[Request]:
    """Send each request at its time, whatever became of the others; queueing is the server's.

    answer: sends request number i and returns its marks, counted from the call. A request that the server refuses is
    not repeated. Any other failure stops the sending and is raised.
    """
    began, failed = clock.now(), threading.Event()

    def one(number: int, moment: int) -> Request:
        begun = clock.now() - began
        try:
            decoded = answer(number)
        except OverloadedError:
            return Request(moment, begun, (), None)
        except BaseException:
            failed.set()
            raise
        return Request(moment, begun, tuple(begun + mark for mark in decoded.marks_ns), wanted)

    sent: list[Future[Request]] = []
    with ThreadPoolExecutor(len(arrivals), thread_name_prefix="arrival") as threads:
        for number, moment in enumerate(arrivals):
            clock.wait_until(began + moment)
            if failed.is_set():
                break
            sent.append(threads.submit(one, number, moment))
    return [each.result() for each in sent]
