"""Energy of a GPU board: the driver's counter, or its power integrated over time."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from time import perf_counter

from distbench.meters.energy.board import Board, Unsupported
from distbench.meters.energy.calibrate import update_period
from distbench.meters.energy.counting import counted
from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.integrating import integrated, interval
from distbench.meters.energy.neighbours import family, numbers_alike, strangers
from distbench.meters.energy.source import Window


class _OnBoard:
    """What both ways of reading a board share."""

    scope = "GPU board"

    def __init__(self, uuid: str) -> None:
        self.board = Board(uuid)
        self._neighbours = "not looked at yet"

    def guard(self) -> None:
        """Refuse a board that is partitioned or that others compute on.

        Another process may be gone in the next window, so that refusal is not final.
        """
        if self.board.partitioned():
            raise EnergyFault(
                "MIG is on: the board's energy is that of all its instances",
                f"sudo nvidia-smi -i {self.board.uuid} -mig 0",
            )
        try:
            listed = self.board.pids()
        except Unsupported:
            self._neighbours = "the driver does not list processes: nobody can say whether others computed there"
            return
        foreign, self._neighbours = strangers(listed, family(), numbers_alike(listed))
        if foreign:
            raise EnergyFault(
                f"other processes compute on GPU {self.board.uuid}: {self._neighbours}",
                "nvidia-smi --query-compute-apps=pid,name --format=csv  names them; end them or wait",
                final=False,
            )

    def limit_watts(self) -> float | None:
        """Return the enforced limit."""
        return self.board.limit_watts()

    def close(self) -> None:
        """Let go of the driver."""
        self.board.close()

    def _facts(self) -> dict[str, float | str]:
        return {"gpu": self.board.name(), "gpu_uuid": self.board.uuid, "processes": self._neighbours}


class NvmlCounter(_OnBoard):
    """The driver's own counter of millijoules (Volta and later)."""

    name = "nvml-counter"
    least_window = 5.0

    def __init__(self, uuid: str) -> None:
        super().__init__(uuid)
        self.board.joules()

    def period(self, stir: Callable[[], object]) -> float:
        """Return the seconds between two updates of the counter."""
        return update_period(self.board.joules, stir)

    def watch(self) -> AbstractContextManager[Window]:
        """Read the counter at both ends."""
        return counted(self.board.joules)

    def facts(self) -> dict[str, float | str]:
        """Return which board, and which call."""
        return self._facts() | {"call": "nvmlDeviceGetTotalEnergyConsumption"}


class NvmlPower(_OnBoard):
    """Power sampled faster than the sensor updates, integrated."""

    name = "nvml-power"
    least_window = 10.0

    def __init__(self, uuid: str) -> None:
        super().__init__(uuid)
        self.board.watts()
        self._every = interval(None)

    def period(self, stir: Callable[[], object]) -> float:
        """Return the seconds between two updates of the sensor."""
        period = update_period(self.board.watts, stir)
        self._every = interval(period)
        return period

    def watch(self) -> AbstractContextManager[Window]:
        """Integrate over the window."""
        return integrated(self.board.watts, self._every, perf_counter)

    def facts(self) -> dict[str, float | str]:
        """Return which board, and which of the driver's powers."""
        return self._facts() | {"call": self.board.power_call, "sampled_every_seconds": self._every}
