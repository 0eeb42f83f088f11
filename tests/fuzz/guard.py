"""What a loader may do with any input: give a value, or raise one of our errors in one line; soon, in little memory."""

from __future__ import annotations

import faulthandler
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from distbench.errors import DistbenchError
from distbench.meters.process_memory import reset_high_water, resident_bytes, status_bytes

SECONDS = 10.0  # a case of a few kilobytes takes milliseconds; a machine may be busy
MEBIBYTES = 300
LONGEST = 500  # characters of a message
FORBIDDEN = ("Traceback", "pydantic", "Input should", "Field required", "Extra inputs", "constrained", "object at 0x")


class TooSlow(BaseException):
    """A case did not end. No `except Exception` on the way may hide it."""


class TooBig(AssertionError):
    """A case took more memory than its input can explain."""


@dataclass
class Tally:
    """What became of all cases so far."""

    cases: int = 0
    values: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    slowest_seconds: float = 0.0
    slowest: str = ""
    peak_bytes: int = 0
    peak: str = ""


def attempt(load: Callable[[Any], object], case: Any, tally: Tally | None = None) -> None:
    """Load one case, and raise whatever no loader may do."""
    tally = tally or Tally()
    tally.cases += 1
    exact = reset_high_water()
    before, started = resident_bytes(), time.perf_counter()
    outcome = None
    with _alarm(SECONDS):
        try:
            load(case)
        except DistbenchError as error:
            outcome = error
    seconds = time.perf_counter() - started
    grown = (status_bytes("VmHWM") or 0) - before if exact else 0
    if outcome is None:
        tally.values += 1
    else:
        tally.refused[type(outcome).__name__] += 1
    if seconds > tally.slowest_seconds:
        tally.slowest_seconds, tally.slowest = seconds, repr(case)[:200]
    if grown > tally.peak_bytes:
        tally.peak_bytes, tally.peak = grown, repr(case)[:200]
    if grown > MEBIBYTES << 20:
        raise TooBig(f"{grown >> 20} MiB")
    if outcome is not None:
        check_message(outcome)


def check_message(error: DistbenchError) -> None:
    """Fail where the line that a user would read is not one, or not in our words."""
    message = str(error)
    assert message.strip(), "an error without a message"
    assert message.isprintable(), f"a message that is no single printable line: {message!r:.300}"
    assert len(message) < LONGEST, f"a message of {len(message)} characters: {message[:200]}…"
    for words in FORBIDDEN:
        assert words not in message, f"a library's words: {message}"


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise TooSlow after so long; where code outside Python does not come back, end the process with its stack."""

    def ring(signum: int, frame: FrameType | None) -> None:
        raise TooSlow(f"more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    faulthandler.dump_traceback_later(6 * seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
