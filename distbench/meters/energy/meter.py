"""The energy meter: joules of windows that are filled with the suite's unit of work."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.filling import worked
from distbench.meters.energy.instrument import Instrument
from distbench.meters.energy.options import EnergyOptions
from distbench.meters.energy.readings import IDLE, TOKEN, assumed, gross, names, quantities, readings_of
from distbench.meters.energy.sources import findings
from distbench.protocols import (
    About,
    LoadFacts,
    Missing,
    Quantity,
    Reading,
    Readings,
    Shape,
    Usable,
    Work,
    WorkAt,
    Workload,
)

ASSUMED_WINDOW = 5.0  # seconds, where power is assumed and only time is read


class EnergyMeter:
    """Gross and net joules per token, request or sample. A fault of the instrument costs its readings, nothing else."""

    Options = EnergyOptions
    repeats: ClassVar[bool] = True
    headline: ClassVar[str] = gross(TOKEN)  # the quantity whose ratio decides when to stop

    @classmethod
    def usable(cls) -> Usable:
        """Say which sources can be read on this machine."""
        seen = findings("auto")
        good = [each for each in seen if each.usable]
        if good:
            return Usable(True, "; ".join(f"{each.what}: {each.seen}" for each in good))
        each_once = [dict.fromkeys(texts) for texts in zip(*((each.seen, each.remedy) for each in seen), strict=True)]
        return Usable(False, *("; ".join(texts) for texts in each_once))

    @classmethod
    def located(cls, options: EnergyOptions, directory: Path) -> EnergyOptions:
        """Return the options with absolute paths; relative ones start at the suite's folder."""
        external = options.external
        if external is not None and external.path is not None:
            external = external.model_copy(update={"path": str(directory.joinpath(external.path).absolute())})
        powercap = str(directory.joinpath(options.powercap).absolute())
        return options.model_copy(update={"external": external, "powercap": powercap})

    def __init__(self, options: EnergyOptions) -> None:
        self.options = options
        self._instrument: Instrument | None = None
        self._fault: Missing | None = None
        self._tokens = False

    @property
    def at_a_distance(self) -> bool:
        """Whether a model that another process serves can be measured: by an instrument outside this machine."""
        return self.options.source == "external"

    def quantities(self) -> list[Quantity]:
        """Return what a window can tell."""
        return quantities()

    def once(self, model: Any, work_at: WorkAt, load: LoadFacts) -> list[Reading]:
        """Return the idle power of this process's loaded model; without it net energy is not known either."""
        self._prepare(model, work_at)
        instrument = self._instrument
        if instrument is None or isinstance(instrument.idle, Missing):
            return []
        return [Reading(IDLE, instrument.idle, "idle", about=instrument.about())]

    def workloads(self, model: Any, work_at: WorkAt) -> Iterator[Workload]:
        """Yield one workload a batch size, and for a language model one of prompts alone."""
        self._prepare(model, work_at)
        o = self.options
        for batch in o.batch_sizes:
            yield self._workload(f"batch {batch}", work_at(Shape(batch, o.prompt_tokens, o.output_tokens)), False)
            if o.prefill and self._tokens:
                yield self._workload(f"batch {batch}, prefill", work_at(Shape(batch, o.prompt_tokens, 1)), True)

    def _prepare(self, model: Any, work_at: WorkAt) -> None:
        """Open and calibrate the instrument, once; a fault is kept, and stands in the place of every reading."""
        if self._instrument is not None or self._fault is not None:
            return
        o = self.options
        work = work_at(Shape(o.batch_sizes[0], o.prompt_tokens, o.output_tokens))
        self._tokens = work().output_tokens is not None  # weights load lazily: after this the model is in memory
        try:
            self._instrument = Instrument(o, model, work)
        except EnergyFault as fault:
            self._fault = fault.missing

    def _workload(self, name: str, work: Work, prefill: bool) -> Workload:
        if self._instrument is not None:
            about = self._instrument.about()
            return Workload(name, lambda: self._measured(name, work, prefill), warm=work, about=about)
        assert self._fault is not None
        if self.options.estimate is not None:
            about = _about_assumed(self.options.estimate.watts, self._fault)
            return Workload(name, lambda: self._estimated(work, prefill), warm=work, about=about)
        return Workload(name, lambda: self._nothing(prefill), works=False)

    def _measured(self, name: str, work: Work, prefill: bool) -> Readings:
        """Return the readings of one window. An instrument that failed for good is not asked again."""
        if self._fault is not None:
            return self._nothing(prefill)
        assert self._instrument is not None
        try:
            done = self._instrument.fill(work, name)
        except EnergyFault as fault:
            if fault.final:
                self._fault = fault.missing
            return dict.fromkeys(names(tokens=self._tokens, prefill=prefill), fault.missing)
        return readings_of(done, self._instrument.idle, prefill=prefill)

    def _estimated(self, work: Work, prefill: bool) -> Readings:
        assert self.options.estimate is not None
        done = worked(work, self.options.window_seconds or ASSUMED_WINDOW)
        return assumed(done, self.options.estimate.watts, prefill=prefill)

    def _nothing(self, prefill: bool) -> Readings:
        assert self._fault is not None
        return dict.fromkeys(names(tokens=self._tokens, prefill=prefill), self._fault)


def _about_assumed(watts: tuple[float, float], why: Missing) -> About:
    facts: dict[str, float | str] = {"least_watts": watts[0], "most_watts": watts[1], "assumed_because": why.reason}
    return About("assumed power", "estimated", facts)
