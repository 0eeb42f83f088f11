"""Meters against known truths: a model that sleeps, a spike of known size, an output length that is asserted."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from distbench.errors import RunError
from distbench.meters.latency import LatencyMeter, LatencyOptions
from distbench.meters.steps import classify_step, generate_step, token_prompt
from distbench.models.hf_causal import HFCausal
from distbench.stats.speed import median_ratio, paired_ratios
from tests.conftest import CPU


class Sleeper:
    """A classifier that takes a known time per row."""

    offers: ClassVar[frozenset[str]] = frozenset({"classify"})

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def classify(self, x: Any) -> Any:
        time.sleep(self.seconds * len(x))
        return np.full((len(x), 2), 0.5)


def test_a_known_delay_is_read() -> None:
    meter = LatencyMeter(LatencyOptions(batch_sizes=[1, 4]))
    works = list(meter.workloads(Sleeper(0.02), lambda n: np.zeros((n, 3)), 0))
    assert [work.name for work in works] == ["batch 1", "batch 4"]
    readings = [work.run() for work in works]
    assert readings[0]["e2e_ms"] >= 20
    assert readings[1]["e2e_ms"] >= 80
    assert readings[1]["samples_per_s"] == pytest.approx(4 / readings[1]["e2e_ms"] * 1e3)


def test_generation_reads_every_phase_and_asserts_its_length(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    readings = generate_step(model, token_prompt(model, 2, 8), 5)
    assert set(readings) == {"ttft_ms", "itl_ms", "e2e_ms", "prefill_tokens_per_s", "decode_tokens_per_s"}
    assert readings["e2e_ms"] == pytest.approx(readings["ttft_ms"] + 4 * readings["itl_ms"])
    assert readings["prefill_tokens_per_s"] == pytest.approx(16 / readings["ttft_ms"] * 1e3)
    assert "itl_ms" not in generate_step(model, token_prompt(model, 1, 8), 1)


def test_a_model_that_answers_too_little_is_an_error() -> None:
    class Lazy(Sleeper):
        def classify(self, x: Any) -> Any:
            return np.zeros((1, 2))

    with pytest.raises(RunError, match="classified 1 rows, expected 4"):
        classify_step(Lazy(0), np.zeros((4, 3)))


def test_prompts_are_seeded(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    assert token_prompt(model, 2, 8).equal(token_prompt(model, 2, 8))


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


def test_ratios_use_only_rounds_that_both_sides_ran() -> None:
    teacher, student = {(0, 0): 10.0, (0, 1): 12.0, (1, 0): 9.0}, {(0, 0): 5.0, (1, 0): 3.0, (1, 1): 1.0}
    assert paired_ratios(teacher, student, higher_is_better=False) == {(0, 0): 2.0, (1, 0): 3.0}
    assert paired_ratios(student, teacher, higher_is_better=True) == {(0, 0): 2.0, (1, 0): 3.0}


def test_few_rounds_have_no_interval_and_none_no_value() -> None:
    assert median_ratio({}).value is None
    two = median_ratio({(0, 0): 2.0, (0, 1): 4.0})
    assert (two.value, two.lo, two.hi) == (3.0, None, None)


def test_noise_between_launches_widens_the_interval() -> None:
    random = np.random.default_rng(0)
    steady = {(0, i): float(2 + 0.01 * random.normal()) for i in range(30)}
    shifted = {(launch, i): float(2 + 0.3 * launch + 0.01 * random.normal()) for launch in range(3) for i in range(10)}
    narrow, wide = median_ratio(steady), median_ratio(shifted)
    assert narrow.lo is not None
    assert narrow.hi is not None
    assert wide.lo is not None
    assert wide.hi is not None
    assert (wide.hi - wide.lo) > 10 * (narrow.hi - narrow.lo)
    assert narrow.lo <= 2.0 <= narrow.hi
