#!/usr/bin/env python3
"""Does the harness find no difference where there is none? The same weights as teacher and student, many times.

usage: scripts/measurement/aa.py MODEL [--runs 10] [--disturb] [--threads 1] [--prompt 32] [--output 8]

MODEL: a checkpoint folder, or what a suite's `source` takes. A run is one `measure` cell with the default launches and
rounds. Beside it, in the same processes: all rounds of one model, then all rounds of the other (back to back), with
the same estimator. --disturb keeps a process for each core busy at random, half of the time on average.

Prints a line a run and a summary: in how many runs the interval holds 1, half-widths, spread of the ratios, the share
of time that was not model work, and the CPU time of the coordinating parent. Exits 1 if the interval of the interleaved
ratio misses 1 in more than a tenth of the runs (and one more, for few runs).
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench.cell.book import Book, Key
from distbench.cell.measure import Measurement
from distbench.cell.probes import ProbeProcess
from distbench.cell.schedule import Schedule
from distbench.meters.latency import LatencyOptions
from distbench.models.hf_causal import HFCausal
from distbench.schema.cell import MeasureCell, ModelRef, Settings
from distbench.stats.estimate import Estimate
from distbench.stats.speed import half_width, launch_ratio, paired_ratios
from distbench.store.run_dir import RunDir

WORKLOAD = "latency/batch 1"


class BothWays(Measurement):
    """The harness, and in every launch back-to-back rounds after its own."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.apart = Book()
        self.waited = self.worked = 0.0

    def rounds(self, schedule: Schedule, probes: list[ProbeProcess], launch: int) -> None:
        began = time.perf_counter()
        super().rounds(schedule, probes, launch)
        self.waited += time.perf_counter() - began
        self.worked += sum(
            row.value * 1e-3
            for key, rows in self.book.values.items()
            if key.metric == "e2e_ms"
            for row in rows
            if row.launch == launch
        )
        for probe in probes:
            for number in range(schedule.options.rounds):
                self.apart.add(probe.name, WORKLOAD, probe.step(WORKLOAD), launch, number)


@dataclass(frozen=True)
class Run:
    """What one run found."""

    interleaved: Estimate
    apart: Estimate
    seconds: float
    overhead: float
    parent: float


def ratio(book: Book, *, paired: bool) -> Estimate:
    sides = [book.by_round(Key(name, "latency", "e2e_ms", "batch 1")) for name in ("teacher", "student")]
    if not paired:  # nothing was measured next to each other: a launch is its median
        sides = [_medians(side) for side in sides]
    return launch_ratio(paired_ratios(*sides, higher_is_better=False))


def _medians(side: dict[tuple[int, int], float]) -> dict[tuple[int, int], float]:
    launches = {launch for launch, _ in side}
    return {(one, 0): statistics.median(v for (launch, _), v in side.items() if launch == one) for one in launches}


def once(path: Path, options: LatencyOptions, threads: int, seed: int) -> Run:
    """Run the harness once."""
    models = [
        ModelRef(name=name, role=role, use="hf-causal", identity="same weights", path=str(path))  # type: ignore[arg-type]
        for name, role in (("teacher", "teacher"), ("student", "student"))
    ]
    cell = MeasureCell(
        id="aa", title="A/A", needs=[], models=models, meters={"latency": options.model_dump(mode="json")},
        workload=None, settings=Settings(seed=seed, device="cpu", dtype="float32", threads=threads),
    )  # fmt: skip
    began, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory(prefix="distbench-aa-") as folder:
        work = BothWays(cell, RunDir(Path(folder)), lambda *_: None)
        work.result()
    seconds = time.perf_counter() - began
    return Run(
        ratio(work.book, paired=True), ratio(work.apart, paired=False), seconds,
        1 - work.worked / work.waited, (time.process_time() - cpu) / seconds,
    )  # fmt: skip


def burn(seed: int) -> None:
    """Keep a core busy for half of the time, in bursts of up to three seconds."""
    dice = random.Random(seed)  # noqa: S311
    while True:
        until = time.monotonic() + dice.uniform(0, 3)
        while time.monotonic() < until:
            math.sqrt(2.0)
        time.sleep(dice.uniform(0, 3))


def text(found: Estimate) -> str:
    held = found.lo is not None and found.hi is not None and found.lo <= 1 <= found.hi
    return f"{found.value:.4f} [{found.lo:.4f}, {found.hi:.4f}] {'holds 1' if held else 'MISSES 1'}"


def summary(name: str, found: list[Estimate]) -> int:
    """Print the line of a way to measure; return in how many runs its interval missed 1."""
    missed = sum(not (e.lo or 0) <= 1 <= (e.hi or 0) for e in found)
    widths = [100 * (half_width(e) or math.nan) for e in found]
    values = [e.value or math.nan for e in found]
    spread = 100 * statistics.stdev(values) / statistics.mean(values) if len(values) > 1 else math.nan
    off = 100 * max(abs(value - 1) for value in values)
    print(
        f"| {name} | {len(found) - missed} of {len(found)} | {statistics.median(widths):.2f} % | {max(widths):.2f} % "
        f"| {spread:.2f} % | {off:.2f} % |"
    )
    return missed


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--disturb", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--output", type=int, default=8)
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    options = LatencyOptions(
        prompt_tokens=arguments.prompt, output_tokens=arguments.output, batch_sizes=[1], control=False
    )
    path = HFCausal.resolve(arguments.model, Path.cwd()).path
    assert path is not None
    burners = [multiprocessing.Process(target=burn, args=(i,), daemon=True) for i in range(os.cpu_count() or 1)]
    for burner in burners if arguments.disturb else []:
        burner.start()
    runs = []
    for number in range(arguments.runs):
        runs.append(once(path, options, arguments.threads, number))
        print(
            f"run {number + 1}: interleaved {text(runs[-1].interleaved)}; back to back {text(runs[-1].apart)}; "
            f"{runs[-1].seconds:.0f} s",
            flush=True,
        )
    print(f"\n{options.launches} launches × {options.rounds} rounds, {'disturbed' if arguments.disturb else 'quiet'}\n")
    print("| way | interval holds 1 | median half-width | widest | CV of the ratio | furthest from 1 |")
    print("|---|---|---|---|---|---|")
    missed = summary("interleaved", [run.interleaved for run in runs])
    summary("back to back", [run.apart for run in runs])
    print(f"\nmedian share of the rounds that is not model work: {statistics.median(r.overhead for r in runs):.2%}")
    print(f"median CPU time of the parent, of the wall time: {statistics.median(r.parent for r in runs):.2%}")
    return 1 if missed > len(runs) / 10 + 1 else 0


if __name__ == "__main__":
    sys.exit(main())
