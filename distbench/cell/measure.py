"""Measure several models side by side: each in its own warm process, one at work at a time, in random balanced order.

Noise that lasts longer than a step hits all models alike, so the ratio of two steps of one round keeps clear of it.
What differs from process to process (memory layout, hash seed) does not cancel: hence several launches.
"""

from __future__ import annotations

import os
import time
from typing import Any

from distbench import plugins
from distbench.cell.book import Book
from distbench.cell.probes import Found, ProbeProcess
from distbench.cell.schedule import Schedule, turns
from distbench.protocols import SEARCH, About, Progress
from distbench.schema.cell import MeasureCell
from distbench.schema.record import Footprint, MeasureResult, WarmUpFacts
from distbench.schema.strict import Use
from distbench.store.run_dir import RunDir

AGAIN = " (again)"  # the teacher's second process has the teacher's name and this; no model can be called so


def measure(cell: MeasureCell, run: RunDir, progress: Progress) -> MeasureResult:
    """Open every model, read what is read once, repeat the rest interleaved; raw values are kept."""
    return Measurement(cell, run, progress).result()


class Measurement:
    """Launches of all models, until every meter has enough."""

    def __init__(self, cell: MeasureCell, run: RunDir, progress: Progress) -> None:
        self.cell, self.run, self.progress = cell, run, progress
        self.meters = meters_of(cell)
        self.quantities = {(name, q.name): q for name, meter in self.meters.items() for q in meter.quantities()}
        self.schedules = [self._schedule(name) for name, meter in self.meters.items() if meter.repeats]
        self.book = Book()
        self.footprints: dict[str, Footprint] = {}
        self.warm_ups: list[WarmUpFacts] = []
        self._done = 0

    def _schedule(self, name: str) -> Schedule:
        meter = self.meters[name]
        headline = getattr(meter, "headline", None)
        if headline is None:
            return Schedule(name, meter.options, None)
        quantity = self.quantities[name, headline]
        return Schedule(name, meter.options, headline, quantity.higher_is_better, quantity.ratio)

    def result(self) -> MeasureResult:
        """Measure."""
        launch = 0
        while launch == 0 or any(schedule.stopped is None for schedule in self.schedules):
            self._launch(launch)
            launch += 1
        reasons = dict.fromkeys(f"{s.meter}: {s.stopped}" for s in self.schedules)
        return MeasureResult(
            models=[ref.name for ref in self.cell.models],
            control=self.cell.models[0].name + AGAIN if any(s.control for s in self.schedules) else None,
            series=self.book.series(self.quantities),
            footprints=self.footprints,
            launches=launch,
            warm_ups=self.warm_ups,
            stop_reason="; ".join(reasons) or "read once",
            notes=_notes(),
        )

    def _launch(self, launch: int) -> None:
        """Start every model anew, let every meter that wants more do its rounds, and end the processes."""
        active = [schedule for schedule in self.schedules if schedule.stopped is None]
        began = time.monotonic()
        probes: list[ProbeProcess] = []
        try:
            wanted = list(enumerate(ref.name for ref in self.cell.models))
            if any(schedule.control for schedule in active):
                wanted.append((0, self.cell.models[0].name + AGAIN))
            # who is loaded first may have it better or worse for the whole launch, so that takes turns too
            for index, name in turns(wanted, self.cell.settings.seed, 0, launch, "load"):
                probes.append(ProbeProcess(self.cell, self.run, index, name))
            for probe in probes:
                probe.imported()
            for probe in probes:
                self._open(probe, [schedule.meter for schedule in active], launch)
            for schedule in active:
                schedule.seconds += time.monotonic() - began
            for schedule in active:
                self.rounds(schedule, probes, launch)
        finally:
            for probe in probes:
                probe.close()
        names = [ref.name for ref in self.cell.models]
        for schedule in active:
            schedule.after_launch(self.book, names[0], names[1:])

    def _open(self, probe: ProbeProcess, repeat: list[str], launch: int) -> None:
        again = probe.name.endswith(AGAIN)
        wanted = [meter for meter in repeat if not again or self._controlled(meter)]
        probe.open(wanted, not again, launch, self._found(probe.name))
        for reading in probe.opened["readings"]:
            self.book.once(probe.name, reading, launch)
        for workload, about in probe.opened["about"].items():
            self.book.tell(probe.name, workload, About(**about))
        self.warm_ups += [WarmUpFacts(model=probe.name, launch=launch, **facts) for facts in probe.opened["warm_ups"]]
        if not again:
            self.footprints[probe.name] = Footprint.model_validate(probe.opened["footprint"])
        self._tell(f"loading {probe.name}")

    def _found(self, model: str) -> Found:
        """Return what searches of the first launch ended with: a search is not repeated."""
        found: Found = {}
        for key, values in self.book.values.items():
            if key.model == model and key.workload == SEARCH:
                found.setdefault(key.meter, {})[key.metric] = values[0].value
        return found

    def _controlled(self, meter: str) -> bool:
        return any(schedule.control for schedule in self.schedules if schedule.meter == meter)

    def rounds(self, schedule: Schedule, probes: list[ProbeProcess], launch: int) -> None:
        """Do the rounds of one meter in one launch."""
        for number in range(schedule.options.rounds):
            if schedule.out_of_time(number):
                return
            began = time.monotonic()
            self._round(schedule.meter, probes, launch, number)
            schedule.seconds += time.monotonic() - began
            self._tell(f"measuring {schedule.meter}")

    def _round(self, meter: str, probes: list[ProbeProcess], launch: int, number: int) -> None:
        """Let every model do every workload of a meter once."""
        names = [name for probe in probes for name in probe.opened["workloads"] if name.startswith(meter + "/")]
        for workload in dict.fromkeys(names):
            able = [probe for probe in probes if workload in probe.opened["workloads"]]
            for probe in turns(able, self.cell.settings.seed, launch, number, workload):
                self.book.add(probe.name, workload, probe.step(workload), launch, number)

    def _tell(self, what: str) -> None:
        """Say how far this is; launches that are added for precision make the total grow."""
        self._done += 1
        launches = max((s.options.launches for s in self.schedules), default=1)
        rounds = sum(s.options.rounds for s in self.schedules)
        total = launches * (len(self.cell.models) + any(s.control for s in self.schedules) + rounds)
        self.progress(self._done, max(total, self._done + 1), what)


def meters_of(cell: MeasureCell) -> dict[str, Any]:
    """Return the cell's meters, those that read once per process first."""
    made = {
        name: plugins.load("meters", name)(plugins.options("meters", Use(use=name, **options)))
        for name, options in cell.meters.items()
    }
    return dict(sorted(made.items(), key=lambda pair: pair[1].repeats))


def _notes() -> list[str]:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return [] if load is None else [f"load average at the end: {load:.1f}"]
