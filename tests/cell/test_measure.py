"""A whole measurement in its real processes, of models that only sleep: the truth is known and the cores stay idle."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from distbench.cell.measure import AGAIN, measure
from distbench.compare.measurements import compare_measurements, headline_speedup, measured_again
from distbench.errors import RunError
from distbench.meters.latency import LatencyOptions
from distbench.schema.cell import MeasureCell, ModelRef, Settings
from distbench.schema.record import MeasureResult
from distbench.store.run_dir import RunDir

PLUGIN = '''
import os
import signal
import time
from pathlib import Path

import numpy as np

from distbench.protocols import Decoded
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict


class Sleeper:
    """Its file says how many seconds it sleeps, or what happens to it instead."""

    Options, offers, learns = Strict, frozenset({"decode"}), frozenset()

    def __init__(self, word):
        self.word = word

    @classmethod
    def warm_up(cls):
        pass

    @classmethod
    def open(cls, path, *_):
        return cls(Path(path).read_text())

    def footprint(self):
        return Footprint()

    def prompts(self, batch, length, seed):
        return np.zeros((batch, length))

    def decode(self, prompts, n):
        if self.word == "too large":
            raise MemoryError("cannot hold it")
        if self.word == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.word == "lazy":
            n = 1
        began, marks = time.perf_counter_ns(), []
        for i in range(n):
            time.sleep(max(0.0, float(self.word if self.word != "lazy" else 0) / n))
            marks.append(time.perf_counter_ns() - began)
        return Decoded(np.zeros((len(prompts), n)), tuple(marks))
'''

Measured = Callable[..., MeasureResult]


@pytest.fixture
def measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Measured:
    """Return a function that measures models, each given by the word in its file."""
    place = tmp_path / "plugin"
    facts = place / "sleeper-1.0.dist-info"
    facts.mkdir(parents=True)
    (place / "sleeping_model.py").write_text(PLUGIN, encoding="utf-8")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: sleeper\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text("[distbench.models]\nsleeper = sleeping_model:Sleeper\n", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(place))

    def run(words: dict[str, str], **options: Any) -> MeasureResult:
        refs = []
        for name, word in words.items():
            path = tmp_path / name
            path.write_text(word, encoding="utf-8")
            role: Any = "student" if refs else "teacher"
            refs.append(ModelRef(name=name, role=role, use="sleeper", identity=name, path=str(path)))
        latency = LatencyOptions(**({"prompt_tokens": 4, "output_tokens": 2, "batch_sizes": [1]} | options))
        cell = MeasureCell(
            id="m", title="m", needs=[], models=refs, meters={"latency": latency.model_dump(mode="json")},
            workload=None, settings=Settings(seed=0, device="cpu", dtype="float32", threads=1),
        )  # fmt: skip
        return measure(cell, RunDir(tmp_path), lambda *_: None)

    return run


def test_a_known_speed_up_is_found_and_a_teacher_equals_itself(measured: Measured) -> None:
    result = measured({"teacher": "0.06", "student": "0.03"}, launches=3, rounds=2)
    speed = headline_speedup(compare_measurements(result.series, "teacher", "student", 0.05))
    assert speed is not None
    assert speed.ratio.value == pytest.approx(2.0, rel=0.15)
    assert speed.ratio.n == 6
    same = headline_speedup(measured_again(result, 0.05))
    assert same is not None
    assert same.ratio.value == pytest.approx(1.0, rel=0.15)
    assert result.control == "teacher" + AGAIN
    assert result.launches == 3


def test_raw_values_keep_their_launch_and_round(measured: Measured) -> None:
    result = measured({"teacher": "0.004", "student": "0.002"}, launches=2, rounds=3, output_tokens=4, control=False)
    assert {s.model for s in result.series} == {"teacher", "student"}
    gaps = next(s for s in result.series if (s.model, s.metric) == ("teacher", "itl_ms"))
    assert len(gaps.values) == 2 * 3 * 3
    assert set(zip(gaps.launch, gaps.pair, strict=True)) == {(i, j) for i in range(2) for j in range(3)}
    assert min(gaps.values) >= 1.0
    assert {(w.model, w.launch) for w in result.warm_ups} == {(m, i) for m in ("teacher", "student") for i in (0, 1)}


def test_who_is_loaded_first_takes_turns(measured: Measured) -> None:
    result = measured({"teacher": "0.001", "a": "0.001", "b": "0.001"}, launches=2, rounds=2)
    loaded = [[w.model for w in result.warm_ups if w.launch == launch] for launch in (0, 1)]
    assert sorted(loaded[0]) == ["a", "b", "teacher", "teacher" + AGAIN]
    assert loaded[1] == loaded[0][::-1]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("too large", r"'student': latency/batch 1: out of memory at a peak of .* GiB of the host; cannot hold it"),
        ("killed", r"'student': killed by signal 9, likely out of memory \(peak \d"),
        ("lazy", "'student': latency/batch 1: generated 1 tokens in 1 steps, expected 2"),
    ],
)
def test_a_model_that_fails_ends_the_cell_with_its_reason(measured: Measured, word: str, message: str) -> None:
    with pytest.raises(RunError, match=message):
        measured({"teacher": "0.002", "student": word}, launches=1, rounds=2, control=False)
