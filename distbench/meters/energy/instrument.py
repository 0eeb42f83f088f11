"""A source made ready for one model: calibrated, with its window's length and the idle power of the loaded model."""

from __future__ import annotations

import random
from time import sleep
from typing import Any

from distbench.meters.energy.calibrate import window_seconds
from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.filling import Filled, at_rest, filled
from distbench.meters.energy.options import EnergyOptions
from distbench.meters.energy.sources import Chosen, choose
from distbench.protocols import About, Missing, Work

SERVED = "served"  # by another process, perhaps on another machine
SETTLE = 2.0  # seconds of rest before idle power is read: clocks and fans come down after work


class Instrument:
    """Reads windows of one model in one process.

    Raises EnergyFault where energy cannot be read at all. `idle` is in watts.
    """

    def __init__(self, options: EnergyOptions, model: Any, work: Work) -> None:
        settings = getattr(model, "settings", None)
        self._seed = getattr(settings, "seed", 0)
        chosen: Chosen = choose(options, device_of(model))
        self.source, self._why = chosen
        try:
            self.source.guard()
            self.period = self.source.period(work)
        except EnergyFault:
            self.source.close()
            raise
        self.seconds = max(options.window_seconds or 0.0, window_seconds(self.period, self.source.least_window))
        self.idle = self._idle()
        self._windows = 0

    def _idle(self) -> float | Missing:
        sleep(SETTLE)
        try:
            return at_rest(self.source, self.seconds)
        except EnergyFault as fault:
            if fault.final:
                raise
            return fault.missing

    def fill(self, work: Work, name: str) -> Filled:
        """Fill one window with work. Where in an update period it begins is left to (seeded) chance.

        The first unit of work is before the window: a device that just rested has other clocks.
        """
        self._windows += 1
        phase = random.Random(f"{self._seed}:{name}:{self._windows}").uniform(0, self.period)  # noqa: S311
        sleep(phase)
        work()
        return filled(self.source, work, self.seconds)

    def about(self) -> About:
        """Return what a reader needs to judge the readings."""
        facts: dict[str, float | str] = {
            "source": self.source.name,
            "chosen": self._why,
            "update_period_seconds": self.period,
            "window_seconds": self.seconds,
            "edge_error": self.period / self.seconds,
        }
        if isinstance(self.idle, float):
            facts["idle_watts"] = self.idle
        limit = self.source.limit_watts()
        if limit is not None:
            facts["limit_watts"] = limit
        return About(self.source.scope, "measured", facts | self.source.facts())


def device_of(model: Any) -> str:
    """Return where a model computes, as torch writes it; no such name for a model behind an address."""
    if SERVED in model.offers:
        return "another process"
    settings = getattr(model, "settings", None)
    return str(settings.device) if settings is not None else "cpu"
