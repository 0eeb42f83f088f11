"""Warm-up with the real shapes, until the times have settled; how long that took is told, never assumed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns

LATEST = 3  # a run of these is compared with everything before
SETTLED = 0.02  # the best time of the latest runs improves by no more than this
MOST_RUNS = 30
MOST_SECONDS = 20.0
FEWEST_RUNS = 1 + LATEST


@dataclass(frozen=True)
class WarmUp:
    """How a workload warmed up. `settled` False: it was still getting faster when the limit of runs or seconds came."""

    runs: int
    seconds: float
    settled: bool


def warm_up(
    work: Callable[[], object], *, most_seconds: float = MOST_SECONDS, clock: Callable[[], int] = perf_counter_ns
) -> WarmUp:
    """Run `work` until it no longer gets faster: the best of the last three runs gains at most 2 % on all before.

    Minima are compared because a disturbed run is only ever slow. The first run is never counted as a time before: it
    pages weights in. Work longer than `most_seconds` / 4 is run at least twice.
    """
    times: list[int] = []
    began = clock()
    while True:
        start = clock()
        work()
        now = clock()
        times.append(now - start)
        seconds = (now - began) * 1e-9
        if len(times) > FEWEST_RUNS and min(times[-LATEST:]) >= (1 - SETTLED) * min(times[1:-LATEST]):
            return WarmUp(len(times), seconds, settled=True)
        if len(times) >= MOST_RUNS or (seconds >= most_seconds and len(times) >= 2):
            return WarmUp(len(times), seconds, settled=False)
