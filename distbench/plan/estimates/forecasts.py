"""The forecast of each cell of a plan. Work that is the same for many cells is done once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distbench.plan.estimates.asked import asked
from distbench.plan.estimates.disk import disk_bytes, scratch_bytes
from distbench.plan.estimates.energy import energy_joules
from distbench.plan.estimates.memory import device_memory, host_memory
from distbench.plan.estimates.past import Past
from distbench.plan.estimates.seconds import seconds_of
from distbench.plan.estimates.shape import Sizes
from distbench.plan.estimates.similar import Similar
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, Settings
from distbench.schema.forecast import CellForecast

Cell = MakeCell | EvaluateCell | MeasureCell


class Forecaster:
    """Says what cells will need, from earlier rows and from the files of their models."""

    def __init__(
        self, cells: Sequence[Cell], rows: Sequence[Past], places: Sequence[Path] = (), host: str | None = None
    ) -> None:
        self.sizes = Sizes({cell.id: cell for cell in cells if isinstance(cell, MakeCell)}, places)
        self._rows, self._host = rows, host
        self._cells = cells  # kept alive: signatures go by their objects
        self._signatures: dict[int, str] = {}
        self._similar: dict[tuple[str, str, int | None], Similar] = {}

    def forecast(self, cell: Cell) -> CellForecast:
        """Return what a cell will need."""
        similar, work = self._for(cell.settings), asked(cell, self.sizes, self._signatures)
        seconds = seconds_of(work, similar)
        return CellForecast(
            seconds=seconds,
            memory_bytes=host_memory(cell, work, self.sizes, similar),
            device_memory_bytes=device_memory(cell, work, self.sizes, similar),
            disk_bytes=disk_bytes(cell, work, self.sizes, similar),
            scratch_bytes=scratch_bytes(cell, self.sizes),
            energy_joules=energy_joules(seconds, similar),
        )

    def _for(self, settings: Settings) -> Similar:
        key = (settings.device, settings.dtype, settings.threads)
        if key not in self._similar:
            self._similar[key] = Similar(self._rows, settings, self._host)
        return self._similar[key]
