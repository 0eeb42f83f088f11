"""When to look at growing samples: the points at which a gate may stop."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Mapping, Sequence

# Shares of a task. Looking costs a test by betting nothing; it costs the run a stop and a start of every model.
FRACTIONS = (1 / 32, 1 / 16, 3 / 32, 1 / 8, 3 / 16, 1 / 4, 5 / 16, 3 / 8, 1 / 2, 5 / 8, 3 / 4, 7 / 8, 1.0)
# Fewer are not worth the stop: hardly any truth shows itself in them.
FIRST_LOOK = 32


def looks(n: int) -> list[int]:
    """Return the distinct sample counts at which to look at a task of `n` samples; the last is `n`.

    Raises `ValueError` for an empty task.
    """
    return [counts["task"] for counts in look_schedule({"task": n})]


def look_schedule(sizes: Mapping[str, int | Sequence[int]]) -> list[dict[str, int]]:
    """Return the looks at a suite: for each, how many samples of every task are then to be there (growing).

    A task is given by its number of samples or, clustered, by the sizes of its clusters in their order: a look never
    cuts a cluster. All tasks progress in proportion, but for the first `FIRST_LOOK` samples of small ones.

    Raises `ValueError` for a task or a cluster without samples.
    """
    ends = {name: _ends(name, size) for name, size in sizes.items()}
    schedule: list[dict[str, int]] = []
    for fraction in FRACTIONS:
        counts = {name: _count(task, fraction) for name, task in ends.items()}
        if not schedule or counts != schedule[-1]:
            schedule.append(counts)
    return schedule


def _ends(name: str, size: int | Sequence[int]) -> range | list[int]:
    """Where a look may end: after every sample, or after every cluster."""
    ends = range(1, size + 1) if isinstance(size, int) else list(itertools.accumulate(size))
    if not ends or (not isinstance(size, int) and min(size) < 1):
        raise ValueError(f"task {name} has no samples, or an empty cluster: {size}")
    return ends


def _count(ends: range | list[int], fraction: float) -> int:
    wanted = min(ends[-1], max(FIRST_LOOK, math.ceil(fraction * ends[-1])))
    return ends[bisect.bisect_left(ends, wanted)]
