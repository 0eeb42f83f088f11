"""Error rates of deciding at any look, by simulation."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from distbench.stats import GrowingTask, Verdict, decide_so_far
from tests.stats.growing import STUDENT, TEACHER, noise

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"


@pytest.fixture(scope="module")
def simulation():
    sys.path.insert(0, str(SCRIPTS))
    try:
        yield importlib.import_module("simulate_gate")
    finally:
        sys.path.remove(str(SCRIPTS))


# Simulated error rates. Seeds are fixed; the tolerance is three standard errors of the simulated rate.


def test_stopping_at_any_look_keeps_both_error_rates(simulation):
    random = np.random.default_rng(7)
    for design in (simulation.HARD[3], simulation.SIZED[0], simulation.SIZED[4]):
        rates = simulation.sequential_rates(design.at_margin(), 3000, random, share=0.5)
        assert max(rates.passed, rates.failed) <= 0.025 + noise(0.025, 3000)


def test_the_same_simulation_sees_that_repeated_fixed_looks_are_wrong(simulation):
    passed, failed = simulation.peeking_rates(simulation.SIZED[0].at_margin(), 600, np.random.default_rng(7))
    assert min(passed, failed) > 0.025 + noise(0.025, 600)


def test_the_same_simulation_sees_too_high_a_level(simulation, monkeypatch):
    monkeypatch.setattr(simulation, "level", lambda _share: 0.5)
    rates = simulation.sequential_rates(simulation.SIZED[0].at_margin(), 1000, np.random.default_rng(7), share=0.0)
    assert min(rates.passed, rates.failed) > 0.1


def test_clusters_and_suites_keep_both_error_rates(simulation):
    random = np.random.default_rng(7)
    each = [
        simulation.clustered_rates(simulation.CLUSTERED[0].at_margin(), 400, random, share=0.5),
        simulation.suite_rates(simulation.uneven_suite(), 300, random, share=0.5),
    ]
    assert np.max(each) <= 0.025 + noise(0.025, 300)


def test_the_fixed_gate_keeps_its_error_rate(simulation):
    random = np.random.default_rng(7)
    for design in (simulation.HARD[0], simulation.HARD[3], simulation.CLUSTERED[0]):
        assert max(simulation.fixed_errors(design.at_margin(), 600, random)) <= 0.035 + noise(0.035, 600)


def test_the_simulated_gate_is_the_real_one(simulation):
    design = replace(simulation.SIZED[0], retained=0.97)
    looks, counts = simulation.drawn_counts(design, 60, np.random.default_rng(8))
    rates = simulation.sequential_rates(design, 60, np.random.default_rng(8), share=0.5)
    verdicts, used = [], []
    for blocks in np.diff(counts, axis=1, prepend=0):
        kind = np.concatenate([np.repeat(np.arange(4), block) for block in blocks])
        task = GrowingTask("a", STUDENT[kind], TEACHER[kind], int(looks[-1]), scale=(0.25, 1.0), floor=0.0)
        decision = decide_so_far([task])
        verdicts.append(decision.verdict)
        used.append(decision.samples["a"])
    assert used == rates.used.tolist()
    assert np.mean([v is Verdict.PASS for v in verdicts]) == rates.passed
    assert 0 < rates.passed < 1
