#!/usr/bin/env python3
"""Does the harness find a speed-up that is known? A model that sleeps, and fewer layers beside a hand-written loop.

usage: scripts/measurement/truth.py MODEL [--layers 24] [--threads 1] [--prompt 32] [--output 8]

The sleeping models take 60 and 40 ms a step, a known speed-up of 1.5. For the real model the truth is a loop of our own
in one process: both models loaded, alternating in random order, forty rounds, median of paired ratios. Exits 1 where
either is off by more than 3 %.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from distbench.cell.measure import measure
from distbench.compare.measurements import compare_measurements, headline_speedup
from distbench.meters.latency import LatencyOptions
from distbench.models.hf_causal import HFCausal
from distbench.schema.cell import MeasureCell, ModelRef, Settings
from distbench.schema.result import Estimate
from distbench.store.run_dir import RunDir

ROUNDS = 40
OFF = 0.03
SLEEPER = '''
import time
from pathlib import Path

import numpy as np

from distbench.protocols import Decoded
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict


class Sleeper:
    """Sleeps as many seconds as its file says, evenly over the tokens."""

    Options, offers, learns = Strict, frozenset({"decode"}), frozenset()

    def __init__(self, seconds):
        self.seconds = seconds

    @classmethod
    def warm_up(cls):
        pass

    @classmethod
    def open(cls, path, *_):
        return cls(float(Path(path).read_text()))

    def footprint(self):
        return Footprint()

    def prompts(self, batch, length, seed):
        return np.zeros((batch, length))

    def decode(self, prompts, n):
        began, marks = time.perf_counter_ns(), []
        for i in range(n):
            time.sleep(max(0.0, self.seconds * (i + 1) / n - (time.perf_counter_ns() - began) * 1e-9))
            marks.append(time.perf_counter_ns() - began)
        return Decoded(np.zeros((len(prompts), n)), tuple(marks))
'''


def install_sleeper(place: Path) -> None:
    """Let the children of this process find the plug-in `sleeper`."""
    (place / "distbench_sleeper.py").write_text(SLEEPER, encoding="utf-8")
    facts = place / "distbench_sleeper-1.0.dist-info"
    facts.mkdir()
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: distbench-sleeper\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text(
        "[distbench.models]\nsleeper = distbench_sleeper:Sleeper\n", encoding="utf-8"
    )
    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH", "")]))


def harness(use: str, teacher: Path, student: Path, options: LatencyOptions, threads: int) -> Estimate:
    """Return the measured speed-up."""
    models = [
        ModelRef(name=name, role=role, use=use, identity=name, path=str(path))  # type: ignore[arg-type]
        for name, role, path in (("teacher", "teacher", teacher), ("student", "student", student))
    ]
    cell = MeasureCell(
        id="truth", title="truth", needs=[], models=models, meters={"latency": options.model_dump(mode="json")},
        workload=None, settings=Settings(seed=0, device="cpu", dtype="float32", threads=threads),
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="distbench-truth-") as folder:
        result = measure(cell, RunDir(Path(folder)), lambda *_: None)
    found = headline_speedup(compare_measurements(result.series, "teacher", "student", 0.05))
    assert found is not None
    return found.ratio


def by_hand(teacher: Any, student: Any, prompt: int, output: int) -> float:
    """Return the speed-up of a plain loop over both modules."""
    import torch

    tokens = torch.randint(0, 1000, (1, prompt), generator=torch.Generator().manual_seed(0))

    def generate(module: Any) -> float:
        began = time.perf_counter()
        with torch.inference_mode():
            answer = module(tokens, use_cache=True, logits_to_keep=1)
            for _ in range(output - 1):
                token = answer.logits[:, -1].argmax(-1, keepdim=True)
                answer = module(token, past_key_values=answer.past_key_values, use_cache=True, logits_to_keep=1)
        return time.perf_counter() - began

    for module in (teacher, student) * 5:
        generate(module)
    dice, ratios = random.Random(0), []  # noqa: S311
    for _ in range(ROUNDS):
        order = [(0, teacher), (1, student)]
        dice.shuffle(order)
        seconds = {side: generate(module) for side, module in order}
        ratios.append(seconds[0] / seconds[1])
    return statistics.median(ratios)


def line(name: str, truth: float, found: Estimate) -> bool:
    assert found.value is not None
    assert found.lo is not None
    assert found.hi is not None
    off = found.value / truth - 1
    print(f"| {name} | {truth:.3f} | {found.value:.3f} [{found.lo:.3f}, {found.hi:.3f}] | {off:+.1%} |", flush=True)
    return abs(off) <= OFF


def main() -> int:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--layers", type=int, default=24)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--prompt", type=int, default=32)
    parser.add_argument("--output", type=int, default=8)
    o = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = str(o.threads)
    options = LatencyOptions(prompt_tokens=o.prompt, output_tokens=o.output, batch_sizes=[1], control=False)
    print("| what | truth | measured | off |\n|---|---|---|---|")
    with tempfile.TemporaryDirectory(prefix="distbench-truth-") as folder:
        place = Path(folder)
        install_sleeper(place)
        (place / "slow").write_text("0.060", encoding="utf-8")
        (place / "fast").write_text("0.040", encoding="utf-8")
        good = line("sleeps 60 and 40 ms", 1.5, harness("sleeper", place / "slow", place / "fast", options, 1))
        settings = Settings(seed=0, device="cpu", dtype="float32", threads=o.threads)
        path = HFCausal.resolve(o.model, Path.cwd()).path
        assert path is not None
        teacher, student = (HFCausal.open(path, settings) for _ in range(2))
        student.keep_layers([i * teacher.layer_count() // o.layers for i in range(o.layers)])
        student.save(place / "student")
        before = by_hand(teacher.module, student.module, o.prompt, o.output)
        measured = harness("hf-causal", path, place / "student", options, o.threads)
        after = by_hand(teacher.module, student.module, o.prompt, o.output)
        truth = (before * after) ** 0.5
        print(f"| by hand, before and after | {before:.3f}, {after:.3f} | | {after / before - 1:+.1%} |")
        good &= line(f"{teacher.layer_count()} against {o.layers} layers", truth, measured)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
