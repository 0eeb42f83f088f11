"""Energy from power: samples taken in a thread while the work runs, integrated by the trapezoid rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from time import perf_counter

from distbench.meters.energy.counting import repeated
from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.source import Clock, Window

FASTEST, SLOWEST = 0.005, 0.1  # seconds between two samples
MOST_GAP = 0.05  # of a window: a sampler held up for longer has not seen what happened


def interval(period: float | None) -> float:
    """Return the seconds between two samples of a sensor with this update period: two samples an update."""
    return SLOWEST if period is None else min(max(period / 2, FASTEST), SLOWEST)


@contextmanager
def integrated(watts: Callable[[], float], every: float, clock: Clock = perf_counter) -> Iterator[Window]:
    """Yield a window over which watts are sampled every so many seconds, and at both ends."""
    window, samples = Window(), list[tuple[float, float]]()

    def sample() -> None:
        samples.append((clock(), watts()))

    sample()
    with repeated(sample, every):
        yield window
    sample()
    window.seconds = samples[-1][0] - samples[0][0]
    window.joules = trapezoid(samples)
    gap = max(late - early for (early, _), (late, _) in pairwise(samples))
    if gap > max(MOST_GAP * window.seconds, 2 * every):
        raise EnergyFault(
            f"power was not sampled for {gap:.2f} s of a window of {window.seconds:.1f} s: the work kept the thread "
            "that samples from running",
            "source: nvml-counter needs no such thread; or a longer window_seconds",
            final=False,
        )


def trapezoid(samples: Sequence[tuple[float, float]]) -> float:
    """Return the joules under (seconds, watts), in order of time."""
    return sum((late - early) * (before + after) / 2 for (early, before), (late, after) in pairwise(samples))
