"""The endpoint plug-in against a server whose delays are known: what is measured is what was waited, and no less."""

from __future__ import annotations

import socket
import time
from itertools import pairwise
from statistics import median
from typing import Any

import pytest

from distbench.errors import EnvironmentFault, OverloadedError, RefusedError, RunError
from distbench.meters.latency import readings_of
from distbench.models.openai_endpoint import OpenAIEndpoint, OpenAIOptions, _together
from distbench.models.openai_http import Server
from distbench.models.openai_stream import EventParser, Reply
from distbench.models.openai_words import freshened, word_prompts
from distbench.protocols import Shape
from distbench.work.generation import generation
from tests.conftest import CPU
from tests.endpoint.server import MODEL, Loopback, serving

MS = 1e-6  # of a nanosecond count
SLACK = 150.0  # ms: what a busy machine may add; a lower bound needs none
KEY = "canary-9f2b6c04d7"


def opened(server: Loopback, **options: Any) -> OpenAIEndpoint:
    return OpenAIEndpoint.open(server.url, CPU, OpenAIOptions(model=MODEL, **options))


def quick(server: Loopback, **options: Any) -> tuple[OpenAIEndpoint, list[float]]:
    """Return a model that notes how long it would have waited instead of waiting."""
    waited: list[float] = []
    chosen = OpenAIOptions(model=MODEL, **options)
    return OpenAIEndpoint(Server(server.url, MODEL, timeout_seconds=5), chosen, sleep=waited.append), waited


# -- known delays ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("api", ["completions", "chat"])
def test_the_known_delays_are_measured(api: str) -> None:
    with serving(ttft=0.08, itl=0.02) as server:
        model = opened(server, api=api)
        (prompt,) = model.prompts(1, 12, 0)
        decoded = model.decode([prompt], 10)
    marks = [mark * MS for mark in decoded.marks_ns]
    assert len(marks) == 10
    for k, mark in enumerate(marks):
        assert 80 + 20 * k <= mark <= 80 + 20 * k + SLACK
    assert median(late - early for early, late in pairwise(marks)) == pytest.approx(20, abs=8)


def test_ttft_is_the_first_text_and_not_the_first_event() -> None:
    """Comments and events without text come at once; the text 80 ms later."""
    with serving(ttft=0.08) as server:
        decoded = opened(server).decode(["one two"], 2)
    assert decoded.marks_ns[0] * MS >= 80


def test_a_stall_is_seen_in_the_gaps_and_hardly_in_their_mean() -> None:
    with serving(itl=0.004, stall_at=30, stall=0.25) as server:
        model = opened(server)
        readings = readings_of(generation(model, Shape(1, 8, 60))())
    assert isinstance(readings["itl_ms"], list)
    assert max(readings["itl_ms"]) >= 250
    assert isinstance(readings["tpot_ms"], float)
    assert readings["tpot_ms"] < 60


def test_a_batch_is_concurrent_and_its_marks_wait_for_all() -> None:
    with serving(ttft=0.15, itl=0.01) as server:
        model = opened(server)
        decoded = model.decode(model.prompts(8, 5, 0), 4)
    assert decoded.lengths == (4,) * 8
    assert 150 <= decoded.marks_ns[0] * MS <= 150 + 2 * SLACK  # one after the other it would be 1,200 ms
    assert list(decoded.marks_ns) == sorted(decoded.marks_ns)


def test_connections_are_opened_before_the_clock_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    happened: list[str] = []
    connect = socket.create_connection

    def noted(*where: Any, **how: Any) -> socket.socket:
        happened.append("connect")
        return connect(*where, **how)

    def clock() -> int:
        happened.append("clock")
        return time.perf_counter_ns()

    with serving() as server:
        model = OpenAIEndpoint(Server(server.url, MODEL, clock=clock), OpenAIOptions(model=MODEL))
        monkeypatch.setattr(socket, "create_connection", noted)
        model.decode(["one"] * 5, 2)
    assert happened[:6] == ["connect"] * 5 + ["clock"]
    assert "connect" not in happened[6:]


def test_a_mark_of_a_batch_is_that_of_its_slowest_prompt() -> None:
    fast, slow = Reply([1, 2, 3], ["a"] * 3, prompt_tokens=4), Reply([2, 9], ["a"] * 2, generated=3, prompt_tokens=5)
    together = _together([fast, slow])
    assert together.marks_ns == (2, 9, 9)
    assert (together.lengths, together.prompt_tokens) == ((3, 3), 9)
    assert _together([fast, Reply([1], ["a"])]).prompt_tokens is None


def test_a_server_that_does_not_end_its_answer_is_not_waited_for() -> None:
    with serving(hangs=True) as server:
        model = opened(server, timeout_seconds=60)
        began = time.monotonic()
        assert model.decode(["one"], 3).lengths == (3,)
        assert time.monotonic() - began < 4
        assert model.decode(["one"], 3).lengths == (3,)
        assert server.connections == 3


def test_connections_are_kept() -> None:
    with serving() as server:
        model = opened(server)
        for _ in range(5):
            model.decode(model.prompts(3, 4, 0), 2)
        assert server.connections == 3


def test_a_server_that_closes_each_connection_is_asked_all_the_same() -> None:
    with serving(keep_alive=False) as server:
        model = opened(server)
        assert [model.decode(["one two"], 3).lengths for _ in range(3)] == [(3,)] * 3
        assert server.connections == 4


def test_pieces_of_several_tokens_count_as_the_server_counts_them() -> None:
    with serving(itl=0.02, tokens_per_piece=4) as server:
        timing = generation(opened(server), Shape(2, 6, 10))()
    assert (len(timing.marks_ns), timing.output_tokens, timing.prompt_tokens) == (3, 20, 12)
    readings = readings_of(timing)
    assert isinstance(readings["itl_ms"], list)
    assert len(readings["itl_ms"]) == 2
    assert readings["tpot_ms"] == pytest.approx((readings["e2e_ms"] - readings["ttft_ms"]) / 9)  # type: ignore[operator]


def test_without_counts_of_the_server_pieces_are_tokens_and_prompt_rates_unknown() -> None:
    with serving(usage=False) as server:
        model = opened(server)
        timing = generation(model, Shape(1, 6, 5))()
        assert (timing.output_tokens, timing.prompt_tokens) == (5, None)
        assert "prefill_tokens_per_s" not in readings_of(timing)
        server.behaviour.tokens_per_piece = 2
        with pytest.raises(RunError, match="sent 6 tokens in 3 pieces of text and does not count them"):
            model.decode(["one two"], 6)


# -- what is sent ------------------------------------------------------------------------------------------------------


def test_a_request_fixes_its_length_and_is_greedy() -> None:
    with serving() as server:
        model = opened(server)
        model.decode(["one two three four five six"], 7)
    sent = server.asked[-1]
    assert {name: sent[name] for name in ("model", "stream", "max_tokens", "min_tokens", "ignore_eos")} == {
        "model": MODEL, "stream": True, "max_tokens": 7, "min_tokens": 7, "ignore_eos": True,
    }  # fmt: skip
    assert sent["temperature"] == 0
    assert sent["path"] == "/v1/completions"
    assert "Authorization" not in server.headers[-1]


@pytest.mark.parametrize(
    ("unknown", "left"),
    [
        (("ignore_eos",), "max_tokens, temperature 0, stream_options"),
        (("min_tokens", "stream_options"), "max_tokens, temperature 0"),
        (("max_tokens", "temperature"), "max_completion_tokens, stream_options"),
    ],
)
def test_keys_that_a_server_does_not_know_are_left_out_and_the_record_says_what_is_sent(
    unknown: tuple[str, ...], left: str
) -> None:
    with serving(unknown_keys=unknown) as server:
        model = opened(server, api="chat")
        asked = len(server.asked)
        assert model.decode(["one two"], 3).lengths == (3,)
        assert len(server.asked) == asked + 1  # what it takes was found once
    assert str(model.footprint().note).endswith(f"asked by chat with {left}")
    assert model.footprint().bytes_on_disk is None


def test_prompts_are_seeded_and_their_beginnings_are_never_sent_twice() -> None:
    assert word_prompts(2, 30, 5) == word_prompts(2, 30, 5) != word_prompts(2, 30, 6)
    assert {len(prompt.split()) for prompt in word_prompts(3, 30, 5)} == {30}
    with serving() as server:
        model = opened(server)
        prompts = model.prompts(1, 30, 5)
        for _ in range(20):
            model.decode(prompts, 1)
        sent = [asked["prompt"].split(" ") for asked in server.asked[1:]]
        same = opened(server, unique_prompts=False)
        same.decode(prompts, 1)
        assert server.asked[-1]["prompt"] == prompts[0]
    assert len({tuple(words[:4]) for words in sent}) == 20
    assert {tuple(words[4:]) for words in sent} == {tuple(prompts[0].split(" ")[4:])}
    assert len(freshened("one").split()) == 1


# -- sources and keys --------------------------------------------------------------------------------------------------


def test_a_source_is_a_url_and_its_content_is_not_claimed_to_be_known() -> None:
    found = OpenAIEndpoint.resolve("http://localhost:8000/v1/", CPU)  # type: ignore[arg-type]
    assert (found.path, found.address) == (None, "http://localhost:8000/v1")
    assert found.identity != OpenAIEndpoint.resolve("http://localhost:8001/v1", CPU).identity  # type: ignore[arg-type]
    assert "cannot be hashed" in found.notes[0]


@pytest.mark.parametrize(
    "source",
    [
        f"http://user:{KEY}@localhost/v1", f"http://{KEY}@localhost/v1", f"https://localhost/v1?key={KEY}",
        f"http://localhost/v1#{KEY}", "ftp://localhost", "localhost:8000", "http://", "http://h:99999/v1", "http://[/v1",
    ],
)  # fmt: skip
def test_a_source_with_credentials_or_without_a_host_is_refused_and_not_repeated(source: str) -> None:
    with pytest.raises(RefusedError) as caught:
        OpenAIEndpoint.resolve(source, CPU)  # type: ignore[arg-type]
    assert KEY not in str(caught.value)


def test_the_key_is_sent_and_never_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("SOME_KEY", KEY)
    with serving(key=KEY) as server:
        model = opened(server, api_key_env="SOME_KEY")
        model.decode(["one"], 2)
        assert server.headers[-1]["Authorization"] == f"Bearer {KEY}"
        server.behaviour.key = "another"  # its refusal repeats the header that it got
        with pytest.raises(EnvironmentFault, match="variable SOME_KEY") as caught:
            model.decode(["one"], 2)
        assert "401" in str(caught.value)
        server.behaviour.key, server.behaviour.mode = None, "garbage"
        for length in (0, 60, 190):  # where the quotation is cut, half a key would be left
            server.behaviour.garbage = "x" * length + KEY
            with pytest.raises(RunError) as failed:
                model.decode(["one"], 2)
            assert KEY[:8] not in str(failed.value)
        server.behaviour.mode, server.behaviour.statuses = "ok", [500]
        server.behaviour.body = "no JSON " + "x" * 180 + KEY
        with pytest.raises(RunError) as failed:
            model.decode(["one"], 2)
        assert KEY[:8] not in str(failed.value)
    assert KEY not in str(caught.value) + repr(vars(model)) + str(capsys.readouterr())


@pytest.mark.parametrize("value", [None, "", " ", f"{KEY}\n{KEY}", f"{KEY}é"])
def test_a_key_that_is_missing_or_cannot_be_sent_is_named_by_its_variable(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    with serving() as server, pytest.raises(EnvironmentFault, match="variable SOME_KEY") as caught:
        opened(server, api_key_env="SOME_KEY")
    assert KEY not in str(caught.value)
    assert server.asked == []


def test_a_server_that_wants_a_key_when_none_is_named() -> None:
    with serving(key=KEY) as server, pytest.raises(EnvironmentFault, match="as api_key_env"):
        opened(server)


# -- refusals ----------------------------------------------------------------------------------------------------------


def test_busy_is_waited_for_and_what_was_refused_is_never_a_latency() -> None:
    with serving(statuses=[429, 503, 429], retry_after="2") as server:
        model, waited = quick(server)
        decoded = model.decode(["one", "two"], 3)
    assert decoded.lengths == (3, 3)
    assert len(waited) >= 2  # the two refusals of one attempt are waited for together
    assert all(2 + 0.5 * 2**attempt >= seconds >= 2 for attempt, seconds in enumerate(waited))
    assert decoded.marks_ns[-1] * MS < 2000


def test_waiting_is_spread_and_grows_without_a_wish_of_the_server() -> None:
    waits = []
    for _ in range(12):
        with serving(statuses=[429] * 4) as server:
            model, waited = quick(server)
            model.decode(["one"], 2)
        waits.append(waited)
    assert all(0 <= seconds <= 0.5 * 2**attempt for one in waits for attempt, seconds in enumerate(one))
    assert len({round(one[0], 6) for one in waits}) > 6


def test_patience_ends() -> None:
    with serving(statuses=[429] * 100) as server:
        model, waited = quick(server, retries=3)
        with pytest.raises(RunError, match=r"too busy \(429: told so\), also after 3 retries"):
            model.decode(["one"], 2)
    assert len(waited) == 3
    assert len(server.asked) == 4


@pytest.mark.parametrize("wish", ["3600", "Fri, 31 Dec 2100 23:59:59 GMT"])
def test_nobody_waits_for_an_hour(wish: str) -> None:
    with serving(statuses=[429], retry_after=wish) as server:
        model, waited = quick(server)
        with pytest.raises(RunError, match=r"wants to be asked again in \d{4,} s"):
            model.decode(["one"], 2)
    assert waited == []


@pytest.mark.parametrize("wish", ["soon", "-1", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_wish_that_means_nothing_is_left(wish: str) -> None:
    with serving(statuses=[429], retry_after=wish) as server:
        model, waited = quick(server)
        assert model.decode(["one"], 2).lengths == (2,)
    assert waited[0] <= 0.5


def test_one_request_of_a_stream_of_arrivals_is_not_repeated() -> None:
    with serving(statuses=[429], retry_after="7") as server:
        model, waited = quick(server)
        with pytest.raises(OverloadedError) as caught:
            model.answer("one", 2)
    assert (caught.value.wait_seconds, waited, len(server.asked)) == (7.0, [], 1)


# -- failures: one clear line each -------------------------------------------------------------------------------------

FAILURES = [
    ({"statuses": [403]}, EnvironmentFault, "refuses access (403: told so)"),
    ({"statuses": [500]}, RunError, "fails (500: told so)"),
    ({"statuses": [502], "body": "<html>\nbad gateway</html>"}, RunError, "fails (502: <html> bad gateway</html>)"),
    ({"statuses": [307]}, RunError, "redirects (307); redirects are not followed"),
    ({"statuses": [418]}, RunError, "refuses the request (418: told so)"),
    ({"statuses": [400]}, RunError, "does not take the request (400: told so)"),
    ({"mode": "dies"}, RunError, "broke off after 2 pieces of text"),
    ({"mode": "dies", "keep_alive": False}, RunError, "2 pieces of text"),
    ({"mode": "ends early"}, RunError, "ended its stream after 2 pieces of text, unfinished"),
    ({"mode": "error event"}, RunError, "reported an error in its stream: the engine died"),
    ({"mode": "garbage"}, RunError, "sent what is not JSON: <html>surprise</html>"),
    ({"mode": "other json"}, RunError, 'sent JSON that is no completion: ["no", "completion"]'),
    ({"mode": "endless line"}, RunError, "sent an event of more than"),
    ({"mode": "nothing"}, RunError, "generated no tokens (finish_reason 'length')"),
    ({"mode": "nothing", "usage": False}, RunError, "streamed no text (finish_reason 'length')"),
    ({"mode": "not streamed"}, RunError, "answered with application/json instead of a stream"),
    ({"mode": "silent"}, RunError, "closed the connection or does not speak HTTP, before an answer"),
    ({"mode": "not http"}, RunError, "closed the connection or does not speak HTTP, before an answer"),
    ({"stops_after": 3, "finish": "stop"}, RunError, "generated 3 of 5 tokens (finish_reason 'stop'); a fixed length"),
]


@pytest.mark.parametrize(("behaviour", "kind", "message"), FAILURES, ids=lambda value: str(value)[:40])
def test_every_failure_is_one_line_that_names_the_endpoint(
    behaviour: dict[str, Any], kind: type[Exception], message: str
) -> None:
    with serving(**behaviour) as server:
        model, waited = quick(server)
        with pytest.raises(kind) as caught:
            model.decode(["one"], 5)
        text = str(caught.value)
        assert text.startswith(f"the endpoint {server.url} ")
    assert message in text
    assert "\n" not in text
    assert len(text) < 400
    assert waited == []
    assert len(server.asked) == 1


@pytest.mark.parametrize("mode", ["dies", "garbage", "nothing"])
def test_one_bad_stream_of_a_batch_fails_the_batch(mode: str) -> None:
    with serving(mode=mode, mode_from=3) as server:
        model, _ = quick(server)
        with pytest.raises(RunError, match="the endpoint http"):
            model.decode(["one"] * 4, 5)


def test_a_model_that_the_server_does_not_have() -> None:
    with serving() as server, pytest.raises(RunError, match=r"does not know 'huge' .*`huge` does not exist.*/v1"):
        OpenAIEndpoint.open(server.url, CPU, OpenAIOptions(model="huge"))


def test_nothing_listens() -> None:
    with serving() as server:
        url = server.url
    with pytest.raises(RunError, match="cannot be reached: nothing listens there"):
        OpenAIEndpoint.open(url, CPU, OpenAIOptions(model=MODEL))


def test_a_host_that_does_not_exist() -> None:
    with pytest.raises(RunError, match="host name is unknown"):
        OpenAIEndpoint.open("http://nowhere.invalid/v1", CPU, OpenAIOptions(model=MODEL))


@pytest.mark.parametrize("behaviour", [{"ttft": 30.0}, {"mode": "comments for ever"}])
def test_an_answer_that_does_not_come_is_not_waited_for_for_ever(behaviour: dict[str, Any]) -> None:
    with serving(**behaviour) as server:
        model = OpenAIEndpoint(Server(server.url, MODEL, timeout_seconds=0.3), OpenAIOptions(model=MODEL))
        with pytest.raises(RunError, match=r"did not finish an answer within 0\.3 s"):
            model.decode(["one"], 2)


def test_what_came_before_a_server_hung_explains_more_than_the_time_limit() -> None:
    with serving(mode="garbage", hangs=True) as server:
        model = OpenAIEndpoint(Server(server.url, MODEL, timeout_seconds=0.3), OpenAIOptions(model=MODEL))
        with pytest.raises(RunError, match="sent what is not JSON: <html>surprise"):
            model.decode(["one"], 2)


# -- the stream --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_are_the_same_however_their_bytes_were_packed(size: int) -> None:
    stream = 'event: x\ndata: {"a": "é"}\r\n\r\n: comment\n\ndata:two\ndata: lines\n\n\n\ndata: last'.encode()
    parser, found = EventParser(), []
    for start in range(0, len(stream), size):
        found += parser.feed(stream[start : start + size])
    assert [*found, *parser.end()] == ['{"a": "é"}', "two\nlines", "last"]
    assert parser.end() == []


@pytest.mark.parametrize(
    ("event", "pieces"),
    [
        ('{"choices": [{"text": " a"}]}', 1),
        ('{"choices": [{"text": ""}]}', 0),
        ('{"choices": [{"delta": {"role": "assistant"}}]}', 0),
        ('{"choices": [{"delta": {"content": null, "reasoning_content": "hm"}}]}', 1),
        ('{"choices": [{"delta": {"content": "b"}, "finish_reason": "length"}], "error": null}', 1),
        ('{"choices": [], "usage": {"completion_tokens": 3, "prompt_tokens": null}}', 0),
        ('{"usage": {"completion_tokens": true}}', 0),
    ],
)
def test_only_text_is_a_piece(event: str, pieces: int) -> None:
    reply = Reply()
    reply.take(event, 5)
    assert reply.marks_ns == [5] * pieces


@pytest.mark.parametrize("event", ["", "null", "3", "{}", '{"choices": 3}', '{"choices": [3]}', "[" * 100_000])
def test_what_is_no_completion_is_refused(event: str) -> None:
    with pytest.raises(RunError, match="sent"):
        Reply().take(event, 0)
