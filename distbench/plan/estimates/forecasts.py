"""The forecast of each cell of a plan. Work that is the same for many cells is done once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distbench.plan.estimates.asked import Asked, asked
from distbench.plan.estimates.disk import disk_bytes, scratch_bytes
from distbench.plan.estimates.energy import energy_joules
from distbench.plan.estimates.memory import device_memory, host_memory
from distbench.plan.estimates.past import Past
from distbench.plan.estimates.seconds import seconds_of
from distbench.plan.estimates.shape import Sizes
from distbench.plan.estimates.similar import Similar
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, Settings
from distbench.schema.forecast import CellForecast, closest

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
        self._similar: dict[tuple[str, str, int | None], list[Similar]] = {}

    def forecast(self, cell: Cell) -> CellForecast:
        """Return what a cell will need; of what several kinds of records say, what is known most closely."""
        work = asked(cell, self.sizes, self._signatures)
        found = [self._by(cell, work, similar) for similar in self._for(cell.settings)]
        if len(found) == 1:
            return found[0]
        names = ("seconds", "memory_bytes", "device_memory_bytes", "disk_bytes", "energy_joules")
        return found[0].model_copy(update={name: closest([getattr(each, name) for each in found]) for name in names})

    def _by(self, cell: Cell, work: Asked, similar: Similar) -> CellForecast:
        seconds = seconds_of(work, similar)
        return CellForecast(
            seconds=seconds,
            memory_bytes=host_memory(cell, work, self.sizes, similar),
            device_memory_bytes=device_memory(cell, work, self.sizes, similar),
            disk_bytes=disk_bytes(cell, work, self.sizes, similar),
            scratch_bytes=scratch_bytes(cell, self.sizes),
            energy_joules=energy_joules(seconds, similar),
        )

    def _for(self, settings: Settings) -> list[Similar]:
        """Return the records that may speak for a cell: those of as many threads, and beside them the others."""
        key = (settings.device, settings.dtype, settings.threads)
        if key not in self._similar:
            usual = Similar(self._rows, settings, self._host)
            others = Similar(self._rows, settings, self._host, other_threads=True)
            self._similar[key] = [usual, others] if others.other_threads and not usual.other_threads else [usual]
        return self._similar[key]
