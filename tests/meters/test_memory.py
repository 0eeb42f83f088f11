"""Memory against known appetites, through the real processes: spikes, weights, mapped files, a fat parent."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from distbench.cell.measure import measure
from distbench.meters import process_memory
from distbench.meters.memory import MemoryMeter, MemoryOptions
from distbench.meters.process_memory import EXACT, POLLED, Polled, has_high_water
from distbench.models.hf_causal import HFCausal
from distbench.protocols import LoadFacts, Reading, Shape, Timing
from distbench.schema.cell import CELL, MeasureCell
from distbench.store.run_dir import RunDir
from distbench.work.generation import generation
from tests.conftest import CPU
from tests.meters.hungry import MIB, cell, install

linux = pytest.mark.skipif(not has_high_water(), reason="the kernel keeps no mark that can be reset")
MEMORY = MemoryOptions(prompt_tokens=4, output_tokens=2).model_dump(mode="json")
Sizes = dict[str, dict[str, float]]
FAT_PARENT = """
import json, sys
from pathlib import Path
from distbench.cell.measure import measure
from distbench.schema.cell import CELL
from distbench.store.run_dir import RunDir
ballast = bytearray(2 << 30)
ballast[::4096] = b"x" * len(ballast[::4096])
cell = CELL.validate_python(json.loads(sys.argv[1]), strict=False)
result = measure(cell, RunDir(Path(sys.argv[2])), lambda *_: None)
print(json.dumps({s.metric: s.values for s in result.series}), len(ballast))
"""


@pytest.fixture
def sizes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Sizes]:
    """Return a function that measures models by their appetites: name → quantity → bytes."""
    monkeypatch.setenv("PYTHONPATH", str(install(tmp_path / "plugin")))

    def run(**models: dict[str, Any]) -> Sizes:
        found = CELL.validate_python(cell(tmp_path, models, {"memory": MEMORY}), strict=False)
        assert isinstance(found, MeasureCell)
        result = measure(found, RunDir(tmp_path), lambda *_: None)
        return {name: {s.metric: s.values[0] for s in result.series if s.model == name and s.values} for name in models}

    return run


@linux
def test_a_spike_of_500_mib_is_found_to_within_one_percent(sizes: Callable[..., Sizes]) -> None:
    found = sizes(spiky={"spike": 500})["spiky"]
    assert (found["peak_bytes"] - found["prefill_peak_bytes"]) / (500 * MIB) == pytest.approx(1.0, abs=0.01)
    assert found["model_bytes"] / (500 * MIB) == pytest.approx(1.0, abs=0.02)
    assert found["rss_anon_bytes"] < found["peak_bytes"] - 490 * MIB, "what was given back does not stay"


@linux
def test_what_is_allocated_mapped_and_spiked_at_loading_is_told_apart(
    sizes: Callable[..., Sizes], tmp_path: Path
) -> None:
    mapped = tmp_path / "mapped.bin"
    mapped.write_bytes(os.urandom(MIB) * 96)
    found = sizes(bare={}, own={"weights": 64}, file={"mapped": str(mapped)}, loading={"loading": 300})
    bare, own, file, loading = found.values()

    def more(than: dict[str, float], quantity: str) -> float:
        return (than[quantity] - bare[quantity]) / MIB

    assert more(own, "rss_anon_bytes") == pytest.approx(64, abs=3)
    assert more(own, "uss_bytes") == pytest.approx(64, abs=3)
    assert more(own, "weight_bytes") == 64
    assert abs(more(own, "rss_file_bytes")) < 3
    assert more(file, "rss_file_bytes") == pytest.approx(96, abs=3)
    assert abs(more(file, "rss_anon_bytes")) < 3
    assert more(loading, "load_peak_bytes") == pytest.approx(300, abs=4)
    assert abs(more(loading, "peak_bytes")) < 4, "the peak of the work does not remember loading"
    assert own["kv_bytes_per_token"] == 512


@linux
def test_a_parent_of_two_gib_does_not_leak_into_its_child_as_rusage_would(tmp_path: Path) -> None:
    place = install(tmp_path / "plugin")
    asked = cell(tmp_path, {"small": {}}, {"memory": MEMORY, "rusage": {}})
    done = subprocess.run(
        [sys.executable, "-c", FAT_PARENT, json.dumps(asked), str(tmp_path)],
        env={**os.environ, "PYTHONPATH": str(place)}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout.rsplit(" ", 1)[0])
    assert found["maxrss_bytes"][0] > 2 << 30, "this kernel does not hand ru_maxrss on: the test shows nothing"
    assert found["peak_bytes"][0] < 300 * MIB
    assert found["load_peak_bytes"][0] < 300 * MIB


def readings(found: list[Reading]) -> dict[str, Reading]:
    return {reading.quantity.name: reading for reading in found}


def test_a_language_models_weights_cache_and_prefill(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    meter = MemoryMeter(MemoryOptions(prompt_tokens=16, output_tokens=2))
    found = readings(meter.once(model, lambda shape: generation(model, shape), LoadFacts(0.0, 1, 2, 3, EXACT)))
    assert set(found) <= {q.name for q in meter.quantities()}
    layers, heads, size = 4, 2, 8
    assert found["kv_bytes_per_token"].value == 2 * layers * heads * size * 4
    unique = {p.data_ptr(): p.numel() for p in model.module.parameters()}
    assert found["weight_bytes"].value == pytest.approx(4 * sum(unique.values()), rel=0.01)  # and the rotary buffer
    assert found["load_peak_bytes"].value == 3
    assert found["prefill_peak_bytes"].value <= found["peak_bytes"].value  # type: ignore[operator]


def test_int8_weights_are_counted_packed(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    before = model.weight_bytes()
    linear = {id(p) for name, p in model.module.named_parameters() if "_proj" in name}
    moved = sum(p.numel() for p in model.module.parameters() if id(p) in linear)
    model.quantise_int8(())
    saved = before - model.weight_bytes()
    assert 2 * moved < saved < 3 * moved  # 4 bytes become 1 and a little for scales and pins, which weigh on 32 columns


class Classifier:
    """Answers at once; says neither what its weights weigh nor what its cache costs."""

    offers: ClassVar[frozenset[str]] = frozenset({"classify"})


def at_once(_: Shape) -> Callable[[], Timing]:
    return lambda: Timing((1,), 1)


def test_what_cannot_be_told_has_a_reason_and_never_a_zero() -> None:
    found = readings(MemoryMeter(MemoryOptions()).once(Classifier(), at_once, LoadFacts(0.0, None, None)))
    assert "prefill_peak_bytes" not in found, "it has no first token"
    assert "kv_bytes_per_token" not in found
    assert "model_bytes" not in found
    assert found["weight_bytes"].value is None
    assert "does not tell" in str(found["weight_bytes"].reason)
    assert "device_peak_bytes" not in found


def test_a_model_on_a_gpu_that_torch_did_not_serve_is_not_said_to_take_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Empty:
        def restart(self) -> None: ...

        def allocated(self) -> float:
            return 0.0

        reserved = allocated

        def uuid(self) -> str:
            return "GPU-none"

    monkeypatch.setattr("distbench.meters.memory.allocator_of", lambda _: Empty())
    found = readings(MemoryMeter(MemoryOptions()).once(Classifier(), at_once, LoadFacts(0.0, 1, 1, 1, EXACT)))
    for name in ("device_peak_bytes", "device_reserved_bytes", "device_load_peak_bytes"):
        assert found[name].value is None
        assert "another library" in str(found[name].reason)
    assert found["device_process_bytes"].value is None
    assert found["device_process_bytes"].reason


def test_without_a_mark_memory_is_polled_and_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(process_memory, "STATUS", tmp_path / "nothing")
    monkeypatch.setattr(process_memory, "CLEAR_REFS", tmp_path / "nothing")
    threads = threading.active_count()
    with process_memory.watching() as watch:
        assert isinstance(watch, Polled)
        before = watch.peak()
        spike = bytearray(200 * MIB)
        spike[::4096] = b"x" * len(spike[::4096])
        watch.peak()
        del spike
        assert watch.peak() - before > 190 * MIB
        watch.restart()
        assert watch.peak() - before < 100 * MIB
    assert threading.active_count() == threads
    assert process_memory.peak_method() == POLLED
    assert "misses shorter spikes" in POLLED
    usable = MemoryMeter.usable()
    assert usable.seen == POLLED
    assert "Linux" in usable.remedy
    found = readings(MemoryMeter(MemoryOptions()).once(Classifier(), at_once, LoadFacts(0.0, 1, 1)))
    assert found["peak_bytes"].value
    assert found["rss_anon_bytes"].value is None


def test_the_polling_thread_sees_what_lasts(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes, looked = [100, 900, 200], threading.Event()

    def look() -> int:
        size = sizes.pop(0) if sizes else 200
        if not sizes:
            looked.set()
        return size

    monkeypatch.setattr(process_memory, "resident_bytes", look)
    with Polled(seconds=0.001) as watch:
        assert looked.wait(30), "the thread never looked"
        assert watch.peak() == 900
