"""Meters against known truths: a model that sleeps, marks that are given, a spike of known size."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from distbench.errors import RunError
from distbench.meters.latency import LatencyMeter, LatencyOptions, readings_of
from distbench.models.hf_causal import HFCausal
from distbench.protocols import Decoded, Shape, Timing
from distbench.work.answering import answering
from distbench.work.generation import generation
from tests.conftest import CPU


class Sleeper:
    """A classifier that takes a known time per row."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def classify(self, x: Any) -> Any:
        time.sleep(self.seconds * len(x))
        return np.full((len(x), 2), 0.5)


class Script:
    """A language model whose marks are written down."""

    def __init__(self, marks_ms: list[float], tokens: int | None = None) -> None:
        self.marks = tuple(round(ms * 1e6) for ms in marks_ms)
        self.tokens = len(marks_ms) if tokens is None else tokens

    def prompts(self, batch: int, length: int, seed: int) -> Any:
        return np.zeros((batch, length), dtype=np.int64)

    def decode(self, prompts: Any, output_tokens: int) -> Decoded:
        return Decoded(np.zeros((len(prompts), self.tokens)), self.marks)


def test_a_known_delay_is_read() -> None:
    model = Sleeper(0.02)
    meter = LatencyMeter(LatencyOptions(batch_sizes=[1, 4]))
    works = list(meter.workloads(model, lambda shape: answering(model.classify, np.zeros((shape.batch, 3)))))
    assert [work.name for work in works] == ["batch 1", "batch 4"]
    readings = [work.run() for work in works]
    assert float(readings[0]["e2e_ms"]) >= 20  # type: ignore[arg-type]
    assert float(readings[1]["e2e_ms"]) >= 80  # type: ignore[arg-type]
    assert set(readings[1]) == {"e2e_ms", "samples_per_s"}


def test_phases_follow_from_the_marks() -> None:
    work = generation(Script([100, 110, 190, 200]), Shape(batch=2, prompt_tokens=50, output_tokens=4))
    readings = readings_of(work())
    assert readings["ttft_ms"] == 100
    assert readings["itl_ms"] == [10, 80, 10]  # the stall is seen
    assert readings["tpot_ms"] == pytest.approx(100 / 3)
    assert readings["e2e_ms"] == 200
    assert readings["prefill_tokens_per_s"] == pytest.approx(2 * 50 / 0.1)
    assert readings["decode_tokens_per_s"] == pytest.approx(2 / (0.1 / 3))


def test_a_single_token_has_no_gap() -> None:
    readings = readings_of(generation(Script([100]), Shape(output_tokens=1))())
    assert set(readings) == {"ttft_ms", "e2e_ms", "prefill_tokens_per_s"}


def test_work_that_answers_at_once_has_an_end_and_a_rate() -> None:
    assert readings_of(Timing(marks_ns=(50_000_000,), samples=10)) == {"e2e_ms": 50, "samples_per_s": 200}


@pytest.mark.parametrize(("marks", "tokens"), [([1, 2], 2), ([1, 2, 3], 2), ([1, 2], 3)])
def test_a_model_that_stops_early_is_an_error(marks: list[float], tokens: int) -> None:
    work = generation(Script(marks, tokens), Shape(output_tokens=3))
    with pytest.raises(RunError, match="expected 3"):
        work()


def test_a_classifier_that_answers_too_little_is_an_error() -> None:
    with pytest.raises(RunError, match="answered 1 of 4 inputs"):
        answering(lambda x: x[:1], np.zeros((4, 3)))()


def test_a_real_decoder_gives_as_many_marks_as_tokens_and_repeats_itself(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    prompts = model.prompts(2, 8, seed=0)
    assert prompts.equal(model.prompts(2, 8, seed=0))
    assert not prompts.equal(model.prompts(2, 8, seed=1))
    first, second = model.decode(prompts, 5), model.decode(prompts, 5)
    assert first.tokens.shape == (2, 5)
    assert (first.tokens == second.tokens).all()
    assert len(first.marks_ns) == 5
    assert list(first.marks_ns) == sorted(first.marks_ns)
    assert first.marks_ns[0] > 0


def test_greedy_tokens_are_those_of_generate(tiny_lm: Path) -> None:
    import torch

    model = HFCausal.open(tiny_lm, CPU)
    prompts = model.prompts(1, 12, seed=3)
    with torch.inference_mode():
        whole = model.module.generate(
            prompts, attention_mask=torch.ones_like(prompts), max_new_tokens=6, min_new_tokens=6, do_sample=False
        )
    assert model.decode(prompts, 6).tokens.tolist() == whole[:, 12:].tolist()


def test_the_cache_of_a_token_has_a_known_size(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    layers, sides, heads, width, number = 4, 2, 2, 8, 4
    grown = model.cache_bytes(model.prompts(1, 48, 0)) - model.cache_bytes(model.prompts(1, 16, 0))
    assert grown == 32 * layers * sides * heads * width * number


@pytest.mark.parametrize(
    "options",
    [
        {"output_tokens": 0},
        {"batch_sizes": [0]},
        {"batch_sizes": []},
        {"rounds": 1},
        {"launches": 3, "max_launches": 2},
    ],
)
def test_options_that_measure_nothing_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        LatencyOptions(**options)


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="Linux only")
def test_a_spike_is_found_and_a_reset_forgets_it() -> None:
    code = (
        "from distbench.meters.process_memory import reset_high_water, status_bytes\n"
        "before = status_bytes('VmHWM'); spike = bytearray(500 << 20)\n"
        "spike[::4096] = b'x' * len(spike[::4096]); del spike\n"
        "peak = status_bytes('VmHWM'); assert reset_high_water(); print(before, peak, status_bytes('VmHWM'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    before, peak, after = map(int, done.stdout.split())
    assert (peak - before) / (500 << 20) == pytest.approx(1.0, abs=0.01)
    assert after - before < 50 << 20
