"""A model of known work on a device of known power, in short windows: what runs inside the children of these tests."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, ClassVar

from distbench.meters.energy import calibrate, instrument, integrating
from distbench.meters.energy.meter import EnergyMeter
from distbench.meters.energy.nvml_sources import NvmlCounter, NvmlPower
from distbench.meters.energy.options import EnergyOptions
from distbench.meters.energy.rapl import Rapl
from distbench.protocols import LoadFacts, Missing, Shape, Timing, Work
from distbench.schema.cell import Settings

WINDOW = 0.4  # seconds; the real ones are 1 to 60
LOAD = LoadFacts(0.1, None, None)


class Busy:
    """Computes 5 ms a unit of work, on the GPU by its own account."""

    offers: ClassVar[frozenset[str]] = frozenset({"decode"})

    def __init__(self, device: str) -> None:
        self.settings = Settings(seed=0, device=device, dtype="float32", threads=1)


def work_at(shape: Shape, *, tokens: bool = True) -> Work:
    def work() -> Timing:
        until = time.process_time() + 0.005
        while time.process_time() < until:
            pass
        if not tokens:
            return Timing((5_000_000,), shape.batch)
        return Timing((5_000_000,), shape.batch, shape.batch * shape.prompt_tokens, shape.batch * shape.output_tokens)

    return work


def hasten() -> None:
    """Make windows short; how they are counted stays as it is."""
    for source in (NvmlCounter, NvmlPower, Rapl):
        source.least_window = WINDOW  # type: ignore[attr-defined]
    calibrate.EDGE = 0.05
    calibrate.update_period.__kwdefaults__.update(at_rest=0.5, at_work=0.5)
    instrument.SETTLE = 0.0
    integrating.MOST_GAP = 0.5  # a loop of Python holds the sampling thread up for some 20 ms, of 0.4 s and not of 10


def told(value: Any) -> Any:
    return asdict(value) if isinstance(value, Missing) else value


def measure(
    device: str = "cuda:0", rounds: int = 1, *, between: Any = None, tokens: bool = True, **options: Any
) -> Any:
    """Return everything that one process with this model reads: idle, facts, and the readings of every round."""
    hasten()
    options = {"batch_sizes": [2], "prefill": False, **options}
    meter = EnergyMeter(EnergyOptions.model_validate(options, strict=False))
    model = Busy(device)

    def at(shape: Shape) -> Work:
        return work_at(shape, tokens=tokens)

    once = {reading.quantity.name: reading.value for reading in meter.once(model, at, LOAD)}
    works = list(meter.workloads(model, at))
    found = []
    for number in range(rounds):
        if between is not None:
            between(number)
        found.append({work.name: {name: told(value) for name, value in work.run().items()} for work in works})
    return {"once": once, "about": {work.name: asdict(work.about) for work in works}, "rounds": found}
