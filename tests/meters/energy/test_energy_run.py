"""Energy through the real processes: teacher and student by turns, a GPU that is lost, a machine without a meter."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distbench.cell.measure import measure
from distbench.compare.measurements import compare_measurements
from distbench.schema.cell import CELL, MeasureCell
from distbench.schema.record import MeasureResult, Series
from distbench.store.run_dir import RunDir
from tests.meters.energy.conftest import ROOT, StubDriver

PLUGIN = '''
import json
import os
import time
from pathlib import Path

import numpy as np

from distbench.protocols import Decoded
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict
from tests.meters.energy.bench import hasten


class Burner:
    """Needs a known number of CPU seconds a call; on request pulls the GPU out after so many calls of three rows."""

    Options, offers, learns = Strict, frozenset({"decode"}), frozenset()

    def __init__(self, facts, settings):
        self.facts, self.settings, self.calls = facts, settings, 0

    @classmethod
    def warm_up(cls):
        hasten()

    @classmethod
    def open(cls, path, settings, *_):
        return cls(json.loads(Path(path).read_text()), settings)

    def footprint(self):
        return Footprint()

    def prompts(self, batch, length, seed):
        return np.zeros((batch, length))

    def decode(self, prompts, n):
        began = time.perf_counter_ns()
        until = time.process_time() + self.facts["seconds"]
        while time.process_time() < until:
            pass
        self.calls += len(prompts) == 3
        if self.calls == self.facts.get("loses_the_gpu_at"):
            with open(os.environ["NVML_STUB"], "a") as state:
                state.write("lost_after 0\\n")
        took = time.perf_counter_ns() - began
        return Decoded(np.zeros((len(prompts), n)), tuple(took + k for k in range(n)))
'''
LATENCY = {"batch_sizes": [2], "rounds": 3, "launches": 1, "control": False, "prompt_tokens": 4, "output_tokens": 4}
ENERGY = {"batch_sizes": [2], "rounds": 2, "launches": 3, "prefill": False, "prompt_tokens": 4, "output_tokens": 4}
Measure = Callable[..., MeasureResult]


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measure:
    """Return a function that measures a teacher and a student by what they burn."""
    place = tmp_path / "plugin"
    facts = place / "burner-1.0.dist-info"
    facts.mkdir(parents=True)
    (place / "burner_model.py").write_text(PLUGIN, encoding="utf-8")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: burner\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text("[distbench.models]\nburner = burner_model:Burner\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{place}:{ROOT}")

    def run(device: str, meters: dict[str, Any], **models: dict[str, Any]) -> MeasureResult:
        refs = []
        for name, appetite in models.items():
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps(appetite), encoding="utf-8")
            refs.append({"name": name, "role": "student", "use": "burner", "identity": name, "path": str(path)})
        settings = {"seed": 0, "device": device, "dtype": "float32", "threads": 1}
        cell = {
            "kind": "measure", "id": "m", "title": "m", "needs": [], "models": refs, "meters": meters,
            "workload": None, "settings": settings,
        }  # fmt: skip
        found = CELL.validate_python(cell, strict=False)
        assert isinstance(found, MeasureCell)
        return measure(found, RunDir(tmp_path), lambda *_: None)

    return run


def of(result: MeasureResult, model: str, metric: str) -> Series:
    return next(s for s in result.series if (s.model, s.metric) == (model, metric))


def test_half_the_work_is_half_the_energy(
    driver: StubDriver, measured: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Joules follow the CPU seconds of a process, which a busy machine stretches but does not change."""
    driver.set(watts=1, busy_watts=1000, limit_watts=4000)
    for name, value in driver.environment.items():
        monkeypatch.setenv(name, value)
    result = measured("cuda:0", {"energy": ENERGY}, teacher={"seconds": 0.02}, student={"seconds": 0.01})
    series = of(result, "student", "gross_joules_per_token")
    assert (series.scope, series.status, series.ratio, len(series.values)) == ("GPU board", "measured", "windows", 6)
    assert series.launch == [0, 0, 1, 1, 2, 2]
    assert {"source", "update_period_seconds", "window_seconds", "edge_error", "idle_watts"} < set(series.facts)
    assert len(of(result, "teacher", "idle_watts").values) == 3, "once a launch"
    found = {m.metric: m for m in compare_measurements(result.series, "teacher", "student", 0.05)}
    gross, net = found["gross_joules_per_token"], found["net_joules_per_token"]
    for each in (gross, net):
        assert each.status == "measured"
        assert each.ratio.value == pytest.approx(2.0, rel=0.2)
        assert "in each of 3 launches" in each.ratio.method
    assert gross.scope == "GPU board"
    assert gross.facts["teacher"]["source"] == "nvml-counter"
    assert gross.teacher == pytest.approx(20 / 8, rel=0.3), "1000 W × 0.02 s over two rows of four tokens"


def test_a_lost_gpu_takes_the_energy_and_leaves_the_latency(
    driver: StubDriver, measured: Measure, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in driver.environment.items():
        monkeypatch.setenv(name, value)
    meters = {"latency": LATENCY, "energy": ENERGY | {"rounds": 20, "launches": 1, "batch_sizes": [3]}}
    teacher = {"seconds": 0.01, "loses_the_gpu_at": 45}  # in a window: before them are at most 31 calls
    result = measured("cuda:0", meters, teacher=teacher, student={"seconds": 0.01})
    lost = of(result, "teacher", "gross_joules_per_token")
    assert (lost.status, lost.values) == ("not_measurable", [])
    assert "GPU is lost" in str(lost.reason)
    assert "dmesg" in str(lost.remedy)
    found = {m.metric: m for m in compare_measurements(result.series, "teacher", "student", 0.05)}
    energy, latency = found["gross_joules_per_token"], found["e2e_ms"]
    assert (energy.status, energy.teacher, energy.ratio.value) == ("not_measurable", None, None)
    assert "dmesg" in str(energy.remedy)
    assert latency.status == "measured"
    assert latency.n == 3
    assert latency.ratio.value is not None


def test_without_a_meter_one_launch_says_so(measured: Measure, tmp_path: Path) -> None:
    meters = {"energy": ENERGY | {"powercap": str(tmp_path / "none")}}
    result = measured("cpu", meters, teacher={"seconds": 0.001}, student={"seconds": 0.001})
    assert result.launches == 1, "models are not loaded again where nothing can be read"
    assert "nothing could be read" in result.stop_reason
    gross = of(result, "teacher", "gross_joules_per_token")
    assert (gross.status, gross.values) == ("not_measurable", [])
    assert "no RAPL counters" in str(gross.reason)
    assert gross.remedy
    assert result.warm_ups == []


def test_an_estimate_is_stored_as_one(measured: Measure, tmp_path: Path) -> None:
    options = {"powercap": str(tmp_path / "none"), "estimate": {"watts": [50, 300]}, "window_seconds": 0.1}
    meters = {"energy": ENERGY | options}
    result = measured("cpu", meters, teacher={"seconds": 0.001}, student={"seconds": 0.001})
    series = of(result, "teacher", "gross_joules_per_token")
    assert (series.status, series.scope, len(series.values)) == ("estimated", "assumed power", 12)
    found = {m.metric: m for m in compare_measurements(result.series, "teacher", "student", 0.05)}
    gross = found["gross_joules_per_token"]
    assert (gross.status, gross.teacher, gross.ratio.value) == ("estimated", None, None)
    low, high = gross.estimates["teacher"]
    assert high > 5 * low > 0
