"""Load on a real server over real connections: it does one request at a time, each for a known while."""

from __future__ import annotations

import pytest

from distbench.errors import RunError
from distbench.meters.goodput import SLO, window_readings
from distbench.meters.open_loop import Request, serve_at_once
from distbench.meters.server import ServerMeter, ServerOptions
from distbench.models.openai_endpoint import OpenAIEndpoint, OpenAIOptions
from distbench.protocols import LoadFacts, Shape, Work
from distbench.work.generation import generation
from tests.conftest import CPU
from tests.endpoint.server import MODEL, Loopback, serving

MS = 1_000_000  # ns
SERVICE, GAP = 0.2, 0.05  # seconds: four times more work arrives than can be done


def opened(server: Loopback) -> OpenAIEndpoint:
    return OpenAIEndpoint.open(server.url, CPU, OpenAIOptions(model=MODEL))


def served(server: Loopback, requests: int) -> list[Request]:
    model = opened(server)
    arrivals = [round(k * GAP * 1e9) for k in range(requests)]
    return serve_at_once(arrivals, lambda _: model.answer("one two", 1), 1)


def test_at_overload_every_request_waits_for_all_before_it() -> None:
    """D/D/1: the k-th answer comes (k + 1) s after the first arrival, k a after its own: it waited k (s − a)."""
    with serving(ttft=SERVICE, concurrency=1) as server:
        requests = served(server, 6)
    ends = sorted(request.marks[-1] * 1e-9 for request in requests)
    for k, end in enumerate(ends):
        assert (k + 1) * SERVICE <= end <= (k + 1) * SERVICE + 0.5
    waited = sorted((request.marks[-1] - request.scheduled) * 1e-9 for request in requests)
    assert waited[-1] >= 6 * SERVICE - 5 * GAP
    readings = window_readings(requests, SLO(e2e_ms=575.0))  # 200 + 150 k ≤ 575: three of six at most, however busy
    assert 1 / 6 <= readings["slo_met_share"] <= 3 / 6  # type: ignore[operator]
    assert readings["requests_per_s"] <= 1 / SERVICE  # type: ignore[operator]
    assert readings["goodput_per_s"] < readings["requests_per_s"]  # type: ignore[operator]


def test_the_same_load_is_nothing_for_a_server_that_works_in_parallel() -> None:
    with serving(ttft=SERVICE) as server:
        requests = served(server, 6)
    waited = [(request.marks[-1] - request.scheduled) * 1e-9 for request in requests]
    assert min(waited) >= SERVICE
    assert sorted(waited)[3] <= SERVICE + 0.3


def test_a_server_that_sheds_load_is_told_from_one_that_is_slow() -> None:
    with serving() as server:
        model = opened(server)
        server.behaviour.statuses = [429, 503]
        requests = serve_at_once([0, 0, MS, 2 * MS], lambda _: model.answer("one", 2), 2)
        asked = len(server.asked)
    readings = window_readings(requests, SLO(ttft_ms=60_000.0))
    assert (readings["refused_share"], readings["slo_met_share"]) == (0.5, 0.5)
    assert asked == 1 + 4  # the greeting, and no request twice


def test_the_meter_sends_to_a_server_what_arrives() -> None:
    with serving(ttft=0.01, itl=0.002) as server:
        model = opened(server)

        def work_at(shape: Shape) -> Work:
            return generation(model, shape)

        options = ServerOptions(
            loads=[0.5], requests=12, prompt_tokens=6, output_tokens=4, max_concurrency=2, slo=SLO(ttft_ms=60_000.0)
        )
        meter = ServerMeter(options)
        meter.begin(0, {})
        (capacity,) = meter.once(model, work_at, LoadFacts(0.0, None, None))
        (work,) = meter.workloads(model, work_at)
        before = len(server.asked)
        readings = work.run()
        sent = server.asked[before:]
    assert capacity.value is not None
    assert 0 < capacity.value <= 2 / 0.016  # two at a time, each 10 + 3 · 2 ms
    assert str(capacity.about.facts["ended"]).startswith("max_concurrency 2 reached")
    assert len(sent) == 12
    assert len({asked["prompt"] for asked in sent}) == 12
    assert {len(asked["prompt"].split()) for asked in sent} == {6}
    assert readings["slo_met_share"] == 1.0
    assert min(readings["ttft_ms"]) >= 10  # type: ignore[type-var, arg-type]
    assert min(readings["e2e_ms"]) >= 16  # type: ignore[type-var, arg-type, operator]
    assert min(readings["send_lag_ms"]) >= 0  # type: ignore[type-var, arg-type, operator]
    assert "queue_ms" not in readings
    assert work.warm is not None


@pytest.mark.parametrize("mode", ["dies", "nothing"])
def test_a_server_that_fails_under_load_fails_the_measurement(mode: str) -> None:
    with serving(mode=mode, mode_from=5) as server:
        model = opened(server)
        with pytest.raises(RunError, match="the endpoint http"):
            serve_at_once([k * MS for k in range(30)], lambda _: model.answer("one", 5), 5)
