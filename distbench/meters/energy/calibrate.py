"""How often an instrument has a new value: the length of a window follows from it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import pairwise
from statistics import median
from time import perf_counter

from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.source import Clock

ENOUGH = 12  # changes; a counter of 100 ms takes little more than a second
FEWEST = 4
AT_REST = 3.0  # seconds to wait for them before the work is started
AT_WORK = 10.0
PAUSE = 1e-4  # between two looks; the fastest counters change every millisecond
EDGE = 0.02  # of a window: how much of it an update period may be


def update_period(
    read: Callable[[], float],
    stir: Callable[[], object],
    *,
    at_rest: float = AT_REST,
    at_work: float = AT_WORK,
    pause: float = PAUSE,
    clock: Clock = perf_counter,
) -> float:
    """Return the median seconds between two changes of what `read` returns.

    At rest first, where nothing competes with looking; if too little changes, while `stir` is called again and again.
    Raises EnergyFault where it stays frozen under load.
    """
    changes = _changes(read, at_rest, pause, clock)
    if len(changes) < FEWEST:
        changes = _under_load(read, stir, at_work, pause, clock)
    if len(changes) < FEWEST:
        raise EnergyFault(
            f"frozen: {len(changes)} changes in {at_rest:g} s at rest and {at_work:g} s at work",
            "restart what feeds it (driver, exporter): an instrument that stands still measures nothing",
        )
    return median(late - early for early, late in pairwise(changes))


def window_seconds(period: float, least: float) -> float:
    """Return how long a window must be so that one update is at most 2 % of it."""
    return max(least, period / EDGE)


def _changes(
    read: Callable[[], float], seconds: float, pause: float, clock: Clock, over: Callable[[], bool] = lambda: False
) -> list[float]:
    """Return when new values were first seen, at most ENOUGH of them."""
    start, value, seen = clock(), read(), list[float]()
    while len(seen) < ENOUGH and clock() - start < seconds and not over():
        new = read()
        if new != value:
            seen.append(clock())
            value = new
        time.sleep(pause)
    return seen


def _under_load(
    read: Callable[[], float], stir: Callable[[], object], seconds: float, pause: float, clock: Clock
) -> list[float]:
    """Look in a thread and work in this one, so that an error of the work is an error here."""
    done, seen, faults = threading.Event(), list[float](), list[EnergyFault]()

    def look() -> None:
        try:
            seen.extend(_changes(read, seconds, pause, clock, done.is_set))
        except EnergyFault as fault:
            faults.append(fault)
        finally:
            done.set()

    thread = threading.Thread(target=look, daemon=True, name="energy")
    thread.start()
    try:
        while not done.is_set():
            stir()
    finally:
        done.set()
        thread.join()
    if faults:
        raise faults[0]
    return seen
