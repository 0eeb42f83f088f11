"""Does it fit? What surely does not is refused before anything runs; what may not is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from distbench.errors import EnvironmentFault
from distbench.plan.estimates.machine import Machine
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.schema.forecast import CellForecast, Forecast

Cell = MakeCell | EvaluateCell | MeasureCell
GIB = 2**30
SHOWN = 3


def misfits(cells: Sequence[Cell], forecasts: Mapping[str, CellForecast], machine: Machine) -> list[str]:
    """Return a sentence for each cell, and for the disk, that needs more than there is, for certain."""
    found = [line for cell in cells for line in _too_large(cell, forecasts[cell.id], machine)]
    return found + _disk(cells, forecasts, machine, lambda forecast: forecast.sure or 0.0, "at least")


def doubts(cells: Sequence[Cell], forecasts: Mapping[str, CellForecast], machine: Machine) -> list[str]:
    """Return a sentence for what may not fit: it is expected to need more than is free now."""
    tight = [
        (need.value, cell.title)
        for cell in cells
        if (need := forecasts[cell.id].memory_bytes).value is not None and need.value > machine.free_memory
    ]
    found = []
    if tight:
        most, title = max(tight)
        more = f" (and {len(tight) - 1} more)" if len(tight) > 1 else ""
        found = [f"'{title}'{more} may need {size(most)} of memory; {size(machine.free_memory)} are free now"]
    return found + _disk(cells, forecasts, machine, lambda forecast: forecast.value or 0.0, "about")


def refuse(found: Sequence[str]) -> None:
    """Raise EnvironmentFault where something does not fit."""
    if found:
        more = f" (and {len(found) - 1} more: distbench plan shows them)" if len(found) > 1 else ""
        raise EnvironmentFault(f"{found[0]}{more}; --force begins all the same")


def _too_large(cell: Cell, needs: CellForecast, machine: Machine) -> list[str]:
    found = []
    host, device = needs.memory_bytes.sure, needs.device_memory_bytes
    if host is not None and host > machine.memory:
        found.append(
            f"'{cell.title}' needs at least {size(host)} of memory, and this machine has {size(machine.memory)}"
        )
    have = machine.device(cell.settings.device)
    if device is not None and device.sure is not None and have is not None and device.sure > have:
        found.append(
            f"'{cell.title}' needs at least {size(device.sure)} of {cell.settings.device}, which has {size(have)}"
        )
    return found


def _disk(
    cells: Sequence[Cell], forecasts: Mapping[str, CellForecast], machine: Machine,
    amount: Callable[[Forecast], float], word: str,
) -> list[str]:  # fmt: skip
    """Compare what stays of all cells, and the largest checkpoint on the way, with what is free."""
    stays = sum(amount(forecasts[cell.id].disk_bytes) for cell in cells)
    passing = max((amount(forecasts[cell.id].scratch_bytes) for cell in cells), default=0.0)
    found = []
    if machine.disk is not None and stays + passing > machine.disk:
        found.append(f"the run needs {word} {size(stays + passing)} of disk, and {size(machine.disk)} are free")
    if machine.cache_disk is not None and stays > machine.cache_disk:
        found.append(f"the cache needs {word} {size(stays)} of disk, and {size(machine.cache_disk)} are free")
    return found


def size(count: float) -> str:
    """Return bytes in words."""
    for unit, one in (("TiB", 2**40), ("GiB", GIB), ("MiB", 2**20), ("KiB", 2**10)):
        if count >= one:
            return f"{count / one:.3g} {unit}" if count / one < 1000 else f"{count / one:.0f} {unit}"
    return f"{count:.0f} B"
