"""The sweep against models whose rates are known by construction; the clock is one that only they move."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from distbench.errors import OverloadedError, RunError
from distbench.meters.headroom import GIB, Headroom
from distbench.meters.sweep import FEWEST_RUNS, LEAST_SECONDS, sweep
from distbench.meters.throughput import OFFLINE, ThroughputMeter, ThroughputOptions
from distbench.models.hf_causal import HFCausal
from distbench.plugins import validated
from distbench.protocols import SEARCH, LoadFacts, Shape, Timing, Work
from distbench.work.generation import generation
from tests.conftest import CPU

LOAD = LoadFacts(1.0, None, None)


class Machine:
    """Takes `seconds(batch)` for a batch, on a clock of its own; `tokens` a sample, or None."""

    def __init__(self, seconds: Callable[[int], float], tokens: int | None = None) -> None:
        self.seconds, self.tokens, self.now, self.asked = seconds, tokens, 0, list[int]()

    def clock(self) -> int:
        return self.now

    def work_at(self, shape: Shape) -> Work:
        def work() -> Timing:
            took = round(self.seconds(shape.batch) * 1e9)
            self.now += took
            self.asked.append(shape.batch)
            made = None if self.tokens is None else shape.batch * self.tokens
            return Timing((took,), shape.batch, output_tokens=made)

        return work


class Room(Headroom):
    """A host of a known size, and a process whose peak is known for each batch."""

    def __init__(self, free: float, peaks: dict[int, float]) -> None:
        super().__init__()
        self._free, self._known = round(free * GIB), {batch: round(peak * GIB) for batch, peak in peaks.items()}

    def peak(self) -> int | None:
        return self._known[max(self._peaks, default=0) * 2 or 1]

    def held(self) -> int | None:
        return 1 * GIB

    def free(self) -> int:
        return self._free


ROOMY = Room(1000, {1 << k: 1.0 for k in range(20)})


def test_a_model_with_a_fixed_cost_saturates_where_the_gains_end() -> None:
    """Fixed cost f and 1 ms a sample: rate b / (f + b). With f = 8 ms doubling from 128 gains 3 %, then 1.5 %."""
    machine = Machine(lambda batch: 8e-3 + 1e-3 * batch, tokens=10)
    found = sweep(machine.work_at, Shape(), 4096, clock=machine.clock, headroom=ROOMY)
    assert [point.batch for point in found.points] == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512]
    assert found.best.batch == 512
    for point in found.points:
        assert point.samples_per_s == pytest.approx(point.batch / (8e-3 + 1e-3 * point.batch))
        assert point.tokens_per_s == pytest.approx(10 * point.samples_per_s)
    assert found.ended == "saturated: batches 256 and 512 gained less than 5% each"


def test_a_model_that_gets_slower_is_repeated_at_its_best_batch_and_not_the_last() -> None:
    machine = Machine(lambda batch: 1e-3 * batch if batch > 4 else 4e-3 / batch)
    found = sweep(machine.work_at, Shape(), 4096, clock=machine.clock, headroom=ROOMY)
    assert [point.batch for point in found.points] == [1, 2, 4, 8, 16]
    assert found.best.batch == 4
    assert found.best.tokens_per_s is None


def test_one_flat_step_does_not_end_the_sweep() -> None:
    """A rate that stands still once and then grows again, as where a kernel changes."""
    steps = {1: 1.0, 2: 2.0, 4: 2.0, 8: 4.0, 16: 8.0}
    machine = Machine(lambda batch: batch / steps[batch])
    found = sweep(machine.work_at, Shape(), 16, clock=machine.clock, headroom=ROOMY)
    assert found.best.batch == 16
    assert found.ended == "max_batch 16 reached; the rate still grew, a larger max_batch may reach more"


def test_a_disturbed_batch_is_tried_again_before_it_counts_as_no_gain() -> None:
    """Everything takes ten times as long for a while; twice the batch is in truth twice the rate."""
    machine = Machine(lambda batch: 1.0)

    def seconds(batch: int) -> float:
        return 10.0 if batch in {4, 8} and machine.asked.count(batch) < 1 + FEWEST_RUNS else 1.0

    machine.seconds = seconds
    found = sweep(machine.work_at, Shape(), 32, clock=machine.clock, headroom=ROOMY)
    assert [point.samples_per_s for point in found.points] == pytest.approx([1, 2, 4, 8, 16, 32])
    assert machine.asked.count(16) == 1 + FEWEST_RUNS


def test_max_batch_is_never_exceeded() -> None:
    machine = Machine(lambda _: 1.0)
    found = sweep(machine.work_at, Shape(), 100, clock=machine.clock, headroom=ROOMY)
    assert max(machine.asked) == found.best.batch == 64


def test_short_runs_are_repeated_long_enough_and_the_best_counts() -> None:
    slow = iter([9.0, 0.01, 0.05])  # the first run pages weights in; a later one is disturbed
    machine = Machine(lambda _: next(slow, 0.02))
    found = sweep(machine.work_at, Shape(), 1, clock=machine.clock, headroom=ROOMY)
    assert found.best.samples_per_s == pytest.approx(100)
    assert machine.now * 1e-9 - 9.0 >= LEAST_SECONDS
    assert len(machine.asked) >= 1 + FEWEST_RUNS


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("no more"), "out of memory"),
        (OutOfMemoryError("CUDA out of memory"), "out of memory"),
        (OverloadedError("the endpoint http://x is too busy (429: queue full)"), "too busy (429: queue full)"),
    ],
)
def test_what_cannot_be_held_ends_the_sweep_and_says_so(error: Exception, said: str) -> None:
    def seconds(batch: int) -> float:
        if batch >= 8:
            raise error
        return 1.0

    machine = Machine(seconds)
    found = sweep(machine.work_at, Shape(), 4096, clock=machine.clock, headroom=ROOMY)
    assert [point.batch for point in found.points] == [1, 2, 4]
    assert found.ended.startswith("batch 8: ")
    assert said in found.ended


def test_a_model_that_cannot_do_one_sample_and_any_other_error_are_no_result() -> None:
    def broken(batch: int) -> float:
        raise MemoryError

    with pytest.raises(MemoryError):
        sweep(Machine(broken).work_at, Shape(), 8, headroom=ROOMY)

    def wrong(batch: int) -> float:
        if batch == 4:
            raise RunError("generated 3 tokens in 3 steps, expected 4")
        return 1.0

    with pytest.raises(RunError, match="expected 4"):
        sweep(Machine(wrong).work_at, Shape(), 8, headroom=ROOMY)


def test_a_batch_that_the_host_could_not_hold_is_not_tried() -> None:
    """Peaks 1, 2, 4, 8 GiB: batch 16 would peak at 8 + 2 · 4 = 16, of which 1 is held: 15 are needed."""
    peaks = {1: 1.0, 2: 2.0, 4: 4.0, 8: 8.0, 16: 16.0}
    for free, largest in ((16.0, 16), (15.0, 8)):
        machine = Machine(lambda _: 1.0)
        found = sweep(machine.work_at, Shape(), 16, clock=machine.clock, headroom=Room(free, peaks))
        assert found.best.batch == max(machine.asked) == largest
    assert found.ended == "batch 16 would need about 15.00 GiB more and 14.25 GiB are free: not tried"


def test_a_container_s_limit_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("distbench.meters.headroom.CGROUP", tmp_path)
    unlimited = Headroom().free()
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("100\n")
    assert Headroom().free() == pytest.approx(unlimited, rel=0.5)
    (tmp_path / "memory.max").write_text("1000\n")
    (tmp_path / "memory.stat").write_text("anon 70\ninactive_file 30\n")
    assert Headroom().free() == 930


def test_the_real_process_can_tell_its_room() -> None:
    room = Headroom()
    assert room.free() > 0
    if Path("/proc/self/status").exists():
        for batch in (1, 2):
            room.note(batch)
        assert room.too_small_for(4) is None
        grown = Headroom()
        grown._peaks = {1: 1 * GIB, 2: 1 << 60}
        assert "not tried" in str(grown.too_small_for(4))


# -- the meter ---------------------------------------------------------------------------------------------------------


def meter(**options: object) -> ThroughputMeter:
    chosen = validated(ThroughputOptions, {"max_batch": 64, **options})
    assert isinstance(chosen, ThroughputOptions)
    return ThroughputMeter(chosen)


def test_the_sweep_is_recorded_and_the_work_repeats_at_its_best_batch() -> None:
    machine = Machine(lambda batch: 0.1 + 0.05 * max(0, batch - 8), tokens=5)
    one = meter()
    one.begin(0, {})
    readings = one.once(None, machine.work_at, LOAD)
    by = {(r.quantity.name, r.workload): r.value for r in readings}
    assert by["saturated_batch", SEARCH] == 8.0
    assert by["sweep_samples_per_s", "batch 8"] == pytest.approx(80)
    assert by["sweep_tokens_per_s", "batch 8"] == pytest.approx(400)
    assert str(readings[0].about.facts["ended"]).startswith("saturated: batches 16 and 32")
    (work,) = one.workloads(None, machine.work_at)
    machine.asked.clear()
    assert work.name == OFFLINE
    assert work.run() == pytest.approx({"samples_per_s": 80, "tokens_per_s": 400})
    assert machine.asked == [8]
    assert {r.quantity.name for r in readings} | set(work.run()) <= {q.name for q in one.quantities()}


def test_later_launches_repeat_what_the_first_one_found() -> None:
    machine = Machine(lambda _: 0.1)
    one = meter()
    one.begin(3, {"saturated_batch": 4.0})
    (work,) = one.workloads(None, machine.work_at)
    work.run()
    assert machine.asked == [4]


def test_a_real_model_is_swept(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    one = meter(max_batch=4, prompt_tokens=4, output_tokens=3)
    one.begin(0, {})
    swept = one.once(model, lambda shape: generation(model, shape), LOAD)
    batch = next(r.value for r in swept if r.quantity.name == "saturated_batch")
    assert batch in {1.0, 2.0, 4.0}
    (work,) = one.workloads(model, lambda shape: generation(model, shape))
    readings = work.run()
    assert readings["tokens_per_s"] == pytest.approx(3 * readings["samples_per_s"])  # type: ignore[operator]
