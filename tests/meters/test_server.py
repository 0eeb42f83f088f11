"""Load against queueing theory: known service times, known arrivals, and a clock that only they move."""

from __future__ import annotations

import itertools
import re
import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydantic import BaseModel

from distbench.errors import OverloadedError, RunError, UsageError
from distbench.meters.arrivals import poisson
from distbench.meters.goodput import SLO, meets, times_of, window_readings
from distbench.meters.open_loop import Request, Time, serve_at_once, serve_batches
from distbench.meters.server import ServerMeter, ServerOptions
from distbench.meters.throughput import ThroughputOptions
from distbench.models.hf_causal import HFCausal
from distbench.models.openai_endpoint import OpenAIOptions
from distbench.plugins import options, validated
from distbench.protocols import SEARCH, Decoded, LoadFacts, Shape, Timing, Work
from distbench.schema.strict import Use
from distbench.work.answering import answering
from distbench.work.generation import generation
from tests.conftest import CPU

MS = 1_000_000  # ns
LOAD = LoadFacts(1.0, None, None)


class Clock:
    """Time that passes only where something takes it."""

    def __init__(self) -> None:
        self.now = 0
        self.time = Time(lambda: self.now, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += round(seconds * 1e9)


class Worker:
    """Takes `first` until the first output and `each` for every further one, whatever the batch. Times in ms."""

    def __init__(self, clock: Clock, first: float, each: float = 0.0, outputs: int = 1, tokens: bool = True) -> None:
        self.clock, self.tokens, self.batches = clock, tokens, list[int]()
        self.marks = tuple(round((first + k * each) * MS) for k in range(outputs))

    def __call__(self, batch: int) -> Work:
        def work() -> Timing:
            self.batches.append(batch)
            self.clock.now += self.marks[-1]
            return Timing(self.marks, batch, None, batch * len(self.marks) if self.tokens else None)

        return work


def evenly(requests: int, every_ms: float) -> list[int]:
    return [round(k * every_ms * MS) for k in range(requests)]


def e2e(requests: Sequence[Request]) -> list[float]:
    return [times_of(request)["e2e_ms"] for request in requests]  # type: ignore[misc]


# -- arrivals ----------------------------------------------------------------------------------------------------------


def test_arrivals_are_a_poisson_process_of_the_rate() -> None:
    times = poisson(20_000, 50.0, "a")
    assert list(times) == sorted(times)
    gaps = [(late - early) * 1e-9 for early, late in itertools.pairwise(times)]
    assert statistics.mean(gaps) == pytest.approx(0.02, rel=0.03)
    assert statistics.stdev(gaps) == pytest.approx(0.02, rel=0.05)  # exponential: as large as the mean
    assert sum(gap > 0.02 for gap in gaps) / len(gaps) == pytest.approx(0.3679, abs=0.015)


def test_arrivals_are_seeded_and_another_rate_only_stretches_them() -> None:
    assert poisson(10, 5.0, "a") == poisson(10, 5.0, "a") != poisson(10, 5.0, "b")
    assert poisson(10, 10.0, "a") == pytest.approx([time / 2 for time in poisson(10, 5.0, "a")], abs=1)


# -- one worker: D/D/1 -------------------------------------------------------------------------------------------------


def test_below_capacity_nobody_waits() -> None:
    clock = Clock()
    served = serve_batches(evenly(20, 12), Worker(clock, 10), 1, clock.time)
    assert e2e(served) == pytest.approx([10.0] * 20)


def test_at_overload_request_k_waits_for_all_before_it() -> None:
    """D/D/1 with service s and a gap a < s: request k leaves s + k (s − a) after its arrival."""
    clock = Clock()
    served = serve_batches(evenly(50, 4), Worker(clock, 10), 1, clock.time)
    assert e2e(served) == pytest.approx([10 + k * (10 - 4) for k in range(50)])
    readings = window_readings(served, SLO(e2e_ms=100.0))
    assert readings["slo_met_share"] == pytest.approx(16 / 50)  # 10 + 6 k ≤ 100: k = 0 … 15
    assert readings["requests_per_s"] == pytest.approx(100)  # what the worker can do, not the 250 that arrive
    assert readings["goodput_per_s"] == pytest.approx(100 * 16 / 50)
    assert readings["offered_per_s"] == pytest.approx(250)


def test_goodput_is_all_of_the_throughput_while_the_limit_holds() -> None:
    clock = Clock()
    readings = window_readings(serve_batches(evenly(20, 12), Worker(clock, 10), 1, clock.time), SLO(e2e_ms=10.0))
    assert readings["goodput_per_s"] == readings["requests_per_s"]


def test_a_stall_hits_everyone_who_would_have_come_in_the_meantime() -> None:
    """Coordinated omission: one answer takes 1 s instead of 1 ms, and one request arrives every 10 ms.

    A client that waits would see one slow request of 200; in truth about 100 waited.
    """
    clock = Clock()
    took = iter([1000.0])

    def work_of(batch: int) -> Work:
        return Worker(clock, next(took, 1.0))(batch)

    times = e2e(serve_batches(evenly(200, 10), work_of, 1, clock.time))
    assert times[0] == pytest.approx(1000)
    assert times == pytest.approx([max(1.0, 1000 - 9 * k) for k in range(200)])  # the queue shrinks by 10 − 1 ms a time
    assert sum(time > 1 for time in times) == 111


def test_whoever_waits_is_taken_as_one_batch_and_nobody_joins_a_running_one() -> None:
    clock = Clock()
    worker = Worker(clock, 10)
    served = serve_batches(evenly(9, 1), worker, 4, clock.time)
    assert worker.batches == [1, 4, 4]
    assert e2e(served) == pytest.approx([10, 19, 18, 17, 16, 25, 24, 23, 22])
    assert [request.begun / MS for request in served] == [0, 10, 10, 10, 10, 20, 20, 20, 20]


def test_tokens_have_times_of_their_own() -> None:
    clock = Clock()
    (first, second) = serve_batches([0, 0], Worker(clock, 20, 5, outputs=4), 1, clock.time)
    assert times_of(first) == {"e2e_ms": 35, "ttft_ms": 20, "itl_ms": [5, 5, 5], "tpot_ms": 5}
    assert times_of(second)["ttft_ms"] == 55
    assert window_readings([first, second], None)["tokens_per_s"] == pytest.approx(8 / 0.070)


# -- a server: nothing is queued on our side ---------------------------------------------------------------------------


def test_requests_are_sent_at_their_times_whatever_became_of_the_others() -> None:
    """Ten answers that take 300 ms each, 10 ms apart: open loop ends after 0.4 s, one after the other after 3 s."""
    clock = Time()

    def answer(number: int) -> Decoded:
        clock.sleep(0.3)
        return Decoded(None, (round(300 * MS),), (1,))

    served = serve_at_once(evenly(10, 10), answer, 1, clock)
    assert [request.scheduled for request in served] == evenly(10, 10)
    assert all(request.begun >= request.scheduled for request in served)
    assert max(request.begun for request in served) < 1500 * MS
    assert min(e2e(served)) >= 300


def test_a_refused_request_has_no_times_and_is_not_good() -> None:
    def answer(number: int) -> Decoded:
        if number % 4 == 0:
            raise OverloadedError("full")
        return Decoded(None, (1 * MS, 2 * MS), (2,))

    served = serve_at_once(evenly(8, 1), answer, 2)
    readings = window_readings(served, SLO(e2e_ms=60_000.0))
    assert (readings["refused_share"], readings["slo_met_share"]) == (0.25, 0.75)
    assert len(readings["e2e_ms"]) == 6  # type: ignore[arg-type]
    nothing = window_readings([Request(k * MS, k * MS, (), None) for k in range(3)], SLO(e2e_ms=1.0))
    assert (nothing["requests_per_s"], nothing["goodput_per_s"], nothing["refused_share"]) == (0.0, 0.0, 1.0)
    assert "e2e_ms" not in nothing


def test_any_other_failure_ends_the_window() -> None:
    asked: list[int] = []

    def answer(number: int) -> Decoded:
        asked.append(number)
        raise RunError("broke off")

    with pytest.raises(RunError, match="broke off"):
        serve_at_once(evenly(200, 5), answer, 1)
    assert len(asked) < 200


# -- limits ------------------------------------------------------------------------------------------------------------

STALLED = Request(0, 0, tuple(mark * MS for mark in (100, 110, 120, 620, 630, 640)), 6)


@pytest.mark.parametrize(
    ("slo", "good"),
    [
        ({"ttft_ms": 100.0}, True),
        ({"ttft_ms": 99.0}, False),
        ({"itl_ms": 499.0}, False),  # the longest gap counts …
        ({"itl_ms": 500.0}, True),
        ({"tpot_ms": 108.0}, True),  # … where the mean hides it
        ({"tpot_ms": 107.0}, False),
        ({"ttft_ms": 100.0, "e2e_ms": 639.0}, False),
    ],
)
def test_a_request_is_good_when_it_meets_every_limit(slo: dict[str, float], good: bool) -> None:
    assert meets(STALLED, SLO(**slo)) is good


def test_limits_on_tokens_mean_nothing_for_a_model_that_answers_at_once() -> None:
    whole = Request(0, 0, (5 * MS,), None)
    assert meets(whole, SLO(e2e_ms=5.0))
    with pytest.raises(RunError, match="slo limits ttft_ms, itl_ms, but this model answers at once"):
        meets(whole, SLO(ttft_ms=5.0, itl_ms=1.0))
    assert meets(Request(0, 0, (5 * MS,), 1), SLO(ttft_ms=5.0, itl_ms=1.0))  # one token has no gap


# -- the meter ---------------------------------------------------------------------------------------------------------


def meter(**given: object) -> ServerMeter:
    chosen = validated(ServerOptions, {"requests": 20, "max_batch": 2, **given})
    assert isinstance(chosen, ServerOptions)
    return ServerMeter(chosen)


class Here:
    offers = frozenset({"decode"})


def test_loads_are_parts_of_the_capacity_that_was_measured(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    one = meter(loads=[0.5, 2.0], prompt_tokens=4, output_tokens=3, slo={"ttft_ms": 1e6})
    one.begin(0, {})
    (capacity,) = one.once(model, lambda shape: generation(model, shape), LOAD)
    assert (capacity.quantity.name, capacity.workload) == ("capacity_per_s", SEARCH)
    assert capacity.value is not None
    works = list(one.workloads(model, lambda shape: generation(model, shape)))
    assert [work.name for work in works] == ["load 0.5", "load 2"]
    assert works[1].about.facts["requests_per_s"] == pytest.approx(2 * capacity.value)
    readings = works[1].run()
    assert set(readings) | {"capacity_per_s", "send_lag_ms"} == {quantity.name for quantity in one.quantities()}
    assert {name: len(value) for name, value in readings.items() if isinstance(value, list)} == {
        "e2e_ms": 20, "ttft_ms": 20, "itl_ms": 40, "tpot_ms": 20, "queue_ms": 20,
    }  # fmt: skip
    assert readings["slo_met_share"] == 1.0
    assert readings["offered_per_s"] > readings["requests_per_s"]  # type: ignore[operator]
    assert works[0].warm is not None


def test_a_model_that_answers_at_once_has_no_times_of_tokens() -> None:
    one = meter(rates=[50.0], slo={"e2e_ms": 1000.0}, requests=5)
    one.begin(0, {})
    (work,) = one.workloads(Here, lambda shape: answering(lambda x: x, [0] * shape.batch))
    readings = work.run()
    assert set(readings) == {
        "requests_per_s", "offered_per_s", "refused_share", "goodput_per_s", "slo_met_share", "e2e_ms", "queue_ms",
    }  # fmt: skip
    assert readings["slo_met_share"] == 1.0


def test_models_meet_the_same_arrivals_and_rounds_and_launches_others() -> None:
    def offered(launch: int) -> list[object]:
        clock = Clock()
        one = meter(rates=[1e5])
        one.begin(launch, {})
        assert one.once(Here, lambda shape: Worker(clock, 0)(shape.batch), LOAD) == []
        (work,) = one.workloads(Here, lambda shape: Worker(clock, 0, tokens=False)(shape.batch))
        return [work.run()["offered_per_s"] for _ in range(3)]

    first = offered(0)
    assert first == offered(0)
    assert len({*first, *offered(1)}) == 6


def test_every_batch_size_has_run_before_any_counts() -> None:
    clock = Clock()
    worker = Worker(clock, 0)
    one = meter(rates=[1e5], max_batch=5)
    list(one.workloads(Here, lambda shape: worker(shape.batch)))
    assert worker.batches == [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"rates": [1.0], "loads": [0.5]}, "both rates and loads"),
        ({"rates": []}, "rates"),
        ({"rates": [0.0]}, "greater than 0"),
        ({"requests": 1}, "at least 2"),
        ({"slo": {}}, "states no limit"),
        ({"slo": {"ttft": 5}}, "ttft"),
    ],
)
def test_options_that_mean_nothing_are_refused(given: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        options("meters", Use(use="server", **given))


def test_options_survive_the_way_into_a_cell() -> None:
    for given in ({}, {"rates": [1.0]}, {"loads": [0.5], "slo": {"ttft_ms": 5.0}}):
        chosen = options("meters", Use(use="server", **given))
        again = options("meters", Use(use="server", **chosen.model_dump(mode="json")))
        assert again == chosen


def test_shapes_are_those_of_the_options() -> None:
    asked: list[Shape] = []

    def work_at(shape: Shape) -> Work:
        asked.append(shape)
        return Worker(Clock(), 0)(shape.batch)

    list(meter(rates=[1.0], prompt_tokens=7, output_tokens=9).workloads(Here, work_at))
    assert {(shape.prompt_tokens, shape.output_tokens) for shape in asked} == {(7, 9)}


@pytest.mark.parametrize("kind", [ThroughputOptions, ServerOptions, SLO, OpenAIOptions], ids=lambda kind: kind.__name__)
def test_every_option_is_documented(kind: type[BaseModel]) -> None:
    text = (Path(__file__).parents[2] / "docs" / "scenarios.md").read_text(encoding="utf-8")
    named = {word for quoted in re.findall(r"`([^`\n]+)`", text) for word in re.findall(r"\w+", quoted)}
    assert sorted(set(kind.model_fields) - named) == []
