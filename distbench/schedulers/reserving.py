"""How much memory a job reserves where the suite does not say: what its cells are expected to need, with a margin."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from distbench.executors.job import Resources
from distbench.schedulers.stages import Cell
from distbench.schema.forecast import CellForecast

MARGIN = 1.5  # a forecast is passed by one cell in ten, and a cluster kills what takes more than it reserved
GIB = 2**30


def with_memory(
    resources: Callable[[Cell], Resources], forecast: Callable[[Cell], CellForecast]
) -> Callable[[Cell], Resources]:
    """Return what cells reserve, with memory in whole GiB where there is a forecast. A measurement has a whole node."""

    def reserved(cell: Cell) -> Resources:
        wanted = resources(cell)
        most = forecast(cell).memory_bytes.hi
        if wanted.memory is not None or wanted.alone or most is None:
            return wanted
        return replace(wanted, memory=math.ceil(most * MARGIN / GIB) * GIB)

    return reserved
