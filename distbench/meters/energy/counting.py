"""Energy from a counter: its difference over a window."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.source import Clock, Window


@contextmanager
def counted(joules: Callable[[], float], clock: Clock = perf_counter) -> Iterator[Window]:
    """Yield a window over which a counter of joules is read at both ends.

    Each reading is as old as the counter's last update, so the difference is off by at most one update's worth.
    """
    window = Window()
    before, start = joules(), clock()
    yield window
    window.seconds, after = clock() - start, joules()
    window.joules = after - before
    if window.joules < 0:
        raise EnergyFault(f"the counter ran backwards by {-window.joules:.6g} J")


@contextmanager
def repeated(call: Callable[[], object], every: float) -> Iterator[None]:
    """Do `call` every so many seconds in a thread while the block runs; its EnergyFault is raised at the end."""
    over, faults = threading.Event(), list[EnergyFault]()

    def loop() -> None:
        while not over.wait(every):
            try:
                call()
            except EnergyFault as fault:
                faults.append(fault)
                return
            except Exception as error:  # noqa: BLE001 - in a thread it would be lost
                faults.append(EnergyFault(f"{type(error).__name__}: {error}"))
                return

    thread = threading.Thread(target=loop, daemon=True, name="energy")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
    if faults:
        raise faults[0]
