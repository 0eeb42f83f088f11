"""The batch at which a model does the most work a second, found by doubling it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter_ns

from distbench.errors import OverloadedError, is_out_of_memory
from distbench.meters.headroom import Headroom
from distbench.meters.out_of_memory import out_of_memory
from distbench.protocols import Shape, Timing, Work, WorkAt
from distbench.protocols.batches import free_memory

GAIN = 0.05  # less than this is no gain …
FLAT = 2  # … and so often in a row is the end
FEWEST_RUNS, MOST_RUNS = 3, 50  # of each batch, after one that is not counted
LEAST_SECONDS = 0.3  # of each batch, for runs that are short
METHOD = (
    f"batch doubled until the rate gained less than {GAIN:.0%} {FLAT} times in a row or memory ended; "
    f"the best of {FEWEST_RUNS} runs or more of each, and of as many again where there was no gain"
)


@dataclass(frozen=True)
class Point:
    """What one batch reached. Tokens are the generated ones; None: the model answers at once."""

    batch: int
    samples_per_s: float
    tokens_per_s: float | None


@dataclass(frozen=True)
class Sweep:
    """Every batch that was tried, in order, and why there was no larger one."""

    points: tuple[Point, ...]
    ended: str

    @property
    def best(self) -> Point:
        """Return the batch with the highest rate."""
        return max(self.points, key=lambda point: point.samples_per_s)


def sweep(
    work_at: WorkAt,
    shape: Shape,
    max_batch: int,
    *,
    limit: str = "max_batch",
    clock: Callable[[], int] = perf_counter_ns,
    headroom: Headroom | None = None,
) -> Sweep:
    """Return the rates at batches 1, 2, 4, … up to `max_batch`, which the user knows as the option `limit`.

    Memory that ends during a batch ends the sweep, and so does a host that could not hold the next one: an operating
    system kills the process then, and nobody could tell why. What ends it is told; at batch 1 it is raised.
    """
    room = headroom or Headroom()
    points: list[Point] = []
    batch, flat = 1, 0
    while batch <= max_batch:
        if points and (why := room.too_small_for(batch)):
            return Sweep(tuple(points), why)
        point, why = _point(work_at, replace(shape, batch=batch), clock)
        if point is None:
            return Sweep(tuple(points), why)
        enough = (1 + GAIN) * max((p.samples_per_s for p in points), default=0.0)
        if point.samples_per_s < enough:  # the end, or a machine that was disturbed just then
            again, _ = _point(work_at, replace(shape, batch=batch), clock)
            point = max(point, again or point, key=lambda p: p.samples_per_s)
        flat = flat + 1 if point.samples_per_s < enough else 0
        points.append(point)
        room.note(batch)
        if flat == FLAT:
            return Sweep(tuple(points), f"saturated: batches {batch // 2} and {batch} gained less than {GAIN:.0%} each")
        batch *= 2
    gained = "" if flat else f"; the rate still grew, a larger {limit} may reach more"
    return Sweep(tuple(points), f"{limit} {max_batch} reached{gained}")


def _point(work_at: WorkAt, shape: Shape, clock: Callable[[], int]) -> tuple[Point | None, str]:
    """Return the rate of one batch, or why there is none. What a failed batch held is free again afterwards."""
    try:
        return _rate(work_at(shape), clock), ""
    except Exception as error:
        if shape.batch == 1 or not (isinstance(error, OverloadedError) or is_out_of_memory(error)):
            raise
        said = error.message if isinstance(error, OverloadedError) else out_of_memory(error)
        why = f"batch {shape.batch}: {said}"
    free_memory()
    return None, why


def _rate(work: Work, clock: Callable[[], int]) -> Point:
    """Return the best of several runs: a disturbed run is only ever slower."""
    work()
    began = clock()
    best: Timing | None = None
    for runs in range(1, MOST_RUNS + 1):
        timing = work()
        best = timing if best is None or timing.marks_ns[-1] < best.marks_ns[-1] else best
        if runs >= FEWEST_RUNS and (clock() - began) * 1e-9 >= LEAST_SECONDS:
            break
    assert best is not None
    return point_of(best)


def point_of(timing: Timing) -> Point:
    """Return the rates of one unit of work; prefill is part of its time."""
    seconds = timing.marks_ns[-1] * 1e-9
    tokens = None if timing.output_tokens is None else timing.output_tokens / seconds
    return Point(timing.samples, timing.samples / seconds, tokens)
