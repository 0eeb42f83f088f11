"""Measure several models side by side: each in its own warm process, one at work at a time, in random balanced order.

Noise that lasts longer than a step hits all models alike, so the ratio of two steps of one round keeps clear of it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from typing import Any

from distbench import plugins
from distbench.errors import RunError
from distbench.protocols import Progress, Quantity
from distbench.schema.cell import MeasureCell
from distbench.schema.record import Footprint, MeasureResult, Series
from distbench.schema.strict import Use
from distbench.store.run_dir import RunDir


class ProbeProcess:
    """A child that holds one loaded model and works on request. Waiting for it blocks: a spinning parent slows it."""

    def __init__(self, cell: MeasureCell, run: RunDir, index: int) -> None:
        self.name = cell.models[index].name
        self._child = subprocess.Popen(
            [sys.executable, "-m", "distbench.cell.probe"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self._request = {"cell": cell.model_dump(mode="json"), "run": str(run.path), "index": index}
        self.opened: dict[str, Any] = {}
        self._send({"do": "import", **self._request})

    def imported(self) -> None:
        """Wait until the child has imported its libraries; several children do so at the same time."""
        self._receive()

    def open(self) -> None:
        """Let the child load its model, alone."""
        self._send({"do": "open", **self._request})
        self.opened = self._receive()

    def step(self, workload: str) -> dict[str, float]:
        """Do one unit of work; return its readings."""
        self._send({"do": "step", "workload": workload})
        readings: dict[str, float] = self._receive()["readings"]
        return readings

    def close(self) -> None:
        """End the child."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()

    def _send(self, request: dict[str, Any]) -> None:
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # the reading side says how the child ended
            self._child.stdin.write(json.dumps(request) + "\n")
            self._child.stdin.flush()

    def _receive(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        line = self._child.stdout.readline()
        if not line:
            raise RunError(f"measuring {self.name!r}: {died(self._child.wait())}")
        answer: dict[str, Any] = json.loads(line)
        if answer["event"] == "error":
            raise RunError(f"measuring {self.name!r}: {answer['message']}")
        return answer


def died(code: int) -> str:
    """Say in words how a child ended."""
    if code == -signal.SIGKILL:
        return "killed by signal 9, likely out of memory"
    return f"killed by signal {-code}" if code < 0 else f"ended with exit code {code}"


@dataclass
class Book:
    """Collects raw values until they become series."""

    values: dict[tuple[str, str, str, str], list[tuple[float, int, int]]] = field(default_factory=dict)
    fixed: list[Series] = field(default_factory=list)

    def add(self, key: tuple[str, str, str, str], value: float, launch: int, pair: int) -> None:
        """Keep one value; key = (model, meter, metric, workload)."""
        self.values.setdefault(key, []).append((value, launch, pair))

    def series(self, quantities: dict[tuple[str, str], Quantity]) -> list[Series]:
        """Return everything measured and everything that could not be."""
        made = []
        for (model, meter, metric, workload), rows in self.values.items():
            quantity = quantities[meter, metric]
            made.append(
                Series(
                    model=model,
                    meter=meter,
                    metric=metric,
                    unit=quantity.unit,
                    workload=workload,
                    higher_is_better=quantity.higher_is_better,
                    method=quantity.method,
                    values=[row[0] for row in rows],
                    launch=[row[1] for row in rows],
                    pair=[row[2] for row in rows],
                )
            )
        return made + self.fixed


def measure(cell: MeasureCell, run: RunDir, progress: Progress) -> MeasureResult:
    """Open every model, read what is read once, repeat the rest interleaved; raw values are kept."""
    meters = {
        name: plugins.load("meters", name)(plugins.options("meters", Use(use=name, **options)))
        for name, options in cell.meters.items()
    }
    quantities = {(name, q.name): q for name, meter in meters.items() for q in meter.quantities()}
    repeated = [meter.options for meter in meters.values() if meter.repeats]
    launches = max((options.launches for options in repeated), default=1)
    rounds = max((options.rounds for options in repeated), default=0)
    deadline = time.monotonic() + max((options.max_seconds for options in repeated), default=0.0)
    book, footprints, stop = Book(), {}, "all rounds done"
    total = launches * (len(cell.models) + rounds)
    for launch in range(launches):
        probes: list[ProbeProcess] = []
        try:
            probes += [ProbeProcess(cell, run, index) for index in range(len(cell.models))]
            for probe in probes:
                probe.imported()
            for index, ref in enumerate(cell.models):
                probes[index].open()
                footprints[ref.name] = Footprint.model_validate(probes[index].opened["footprint"])
                _read_once(probes[index], book, launch)
                progress(launch * (len(cell.models) + rounds) + index + 1, total, f"loading {ref.name}")
            for number in range(rounds):
                if time.monotonic() > deadline and number >= 2:
                    stop = f"time budget spent after {number} of {rounds} rounds of launch {launch + 1} of {launches}"
                    break
                _round(probes, book, (cell.settings.seed, launch, number))
                progress(launch * (len(cell.models) + rounds) + len(cell.models) + number + 1, total, "measuring")
        finally:
            for probe in probes:
                probe.close()
        if stop != "all rounds done":
            break
    return MeasureResult(
        models=[ref.name for ref in cell.models],
        series=book.series(quantities),
        footprints=footprints,
        stop_reason=stop,
        notes=_notes(),
    )


def _round(probes: list[ProbeProcess], book: Book, when: tuple[int, int, int]) -> None:
    """Let every model do every workload once; odd rounds run the mirrored order of the round before (ABBA)."""
    seed, launch, number = when
    workloads = list(dict.fromkeys(name for probe in probes for name in probe.opened["workloads"]))
    for workload in workloads:
        able = [probe for probe in probes if workload in probe.opened["workloads"]]
        shuffled = random.Random(f"{seed}:{launch}:{number // 2}:{workload}").sample(able, len(able))  # noqa: S311
        meter, _, name = workload.partition("/")
        for probe in shuffled if number % 2 == 0 else reversed(shuffled):
            for metric, value in probe.step(workload).items():
                book.add((probe.name, meter, metric, name), value, launch, number)


def _read_once(probe: ProbeProcess, book: Book, launch: int) -> None:
    for reading in probe.opened["readings"]:
        key = (probe.name, reading["meter"], reading["metric"], reading["workload"])
        if reading["value"] is not None:
            book.add(key, reading["value"], launch, 0)
        elif launch == 0:
            book.fixed.append(
                Series(
                    model=probe.name,
                    meter=reading["meter"],
                    metric=reading["metric"],
                    unit=reading["unit"],
                    higher_is_better=reading["higher"],
                    workload=reading["workload"],
                    values=[],
                    status="not_measurable",
                    reason=reading["reason"],
                    method=reading["method"],
                )
            )


def _notes() -> list[str]:
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return [] if load is None else [f"load average at the end: {load:.1f}"]
