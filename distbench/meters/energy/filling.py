"""A window filled with work: the unit of work again and again until the window is long enough."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, sleep

from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.source import Clock, Source, Window
from distbench.protocols import Timing, Work

MOST_OF_LIMIT = 1.5  # mean power beyond this part of what the hardware enforces is a fault of the instrument


@dataclass(frozen=True)
class Done:
    """What was done in so many seconds. Token counts are None where there are no tokens."""

    seconds: float
    units: int
    samples: int
    prompt_tokens: int | None
    output_tokens: int | None


@dataclass(frozen=True)
class Filled:
    """What was done in a window, and with how many joules."""

    done: Done
    joules: float
    seconds: float  # of the window as the instrument saw it

    @property
    def watts(self) -> float:
        """Mean power."""
        return self.joules / self.seconds


def filled(source: Source, work: Work, seconds: float, clock: Clock = perf_counter) -> Filled:
    """Work for at least `seconds` and read the energy of it.

    Raises EnergyFault where the reading is missing or cannot be true.
    """
    source.guard()
    with source.watch() as window:
        done = worked(work, seconds, clock)
    check_plausible(window, source.limit_watts())
    source.guard()
    return Filled(done, window.joules, window.seconds)


def worked(work: Work, seconds: float, clock: Clock = perf_counter) -> Done:
    """Work for at least `seconds`; a unit of work that has begun is finished."""
    timings: list[Timing] = []
    start = clock()
    while not timings or clock() - start < seconds:
        timings.append(work())
    return Done(
        seconds=clock() - start,
        units=len(timings),
        samples=sum(timing.samples for timing in timings),
        prompt_tokens=_total([timing.prompt_tokens for timing in timings]),
        output_tokens=_total([timing.output_tokens for timing in timings]),
    )


def at_rest(source: Source, seconds: float, rest: Callable[[float], object] = sleep) -> float:
    """Return the mean watts of a window in which nothing is asked of the model."""
    source.guard()
    with source.watch() as window:
        rest(seconds)
    check_plausible(window, source.limit_watts())
    source.guard()
    return window.joules / window.seconds


def check_plausible(window: Window, limit_watts: float | None) -> None:
    """Raise EnergyFault where a window's energy cannot be true."""
    if window.joules <= 0:
        raise EnergyFault(f"frozen: {window.joules:g} J in a window of {window.seconds:.1f} s")
    watts = window.joules / window.seconds
    if limit_watts is not None and watts > MOST_OF_LIMIT * limit_watts:
        raise EnergyFault(
            f"mean power of {watts:.1f} W is more than {MOST_OF_LIMIT:g} × the enforced limit of {limit_watts:.1f} W: "
            "the instrument is wrong"
        )


def _total(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None
