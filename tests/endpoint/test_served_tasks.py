"""A task that is asked of a served model gives the scores of its weights, and an answer that fails is no wrong one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distbench.errors import RunError, UsageError
from distbench.models.openai_echo import judged
from distbench.models.openai_endpoint import OpenAIEndpoint, OpenAIOptions
from distbench.models.openai_stream import Reply
from distbench.protocols import Asked, Sampling
from distbench.store.samples import read_samples
from distbench.tasks.lm_eval_served import Unanswered, served_model
from tests.command import here
from tests.conftest import CPU
from tests.endpoint.server import Behaviour, serving
from tests.scripts import script

SUITE = """\
version: 1
name: served
device: cpu
threads: 1
teachers:
  big: {use: openai, source: "URL", model: tiny, first_text: "<|endoftext|>", retries: 0}
students:
  - {name: same, of: big, use: hf-causal, source: ./same}
tasks:
  - {use: lm-eval, name: distbench_facts, samples: 6}
  - {use: lm-eval, name: distbench_subject_verb, samples: 6}
  - {use: lm-eval, name: distbench_word_problems, samples: 2, include: TASKS}
gate: {retained: 0.5}
"""
WRITES = """\
task: writes
dataset_path: json
dataset_kwargs: {data_files: {test: FILE}}
output_type: generate_until
test_split: test
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
generation_kwargs: {until: ["zz", "\\n"], max_gen_toks: 6, do_sample: false}
metric_list: [{metric: exact_match, aggregation: mean, higher_is_better: true}]
metadata: {version: 1.0}
"""
QUESTIONS = ["the doctor with", "the cats were", "was very kind"]


@pytest.fixture(scope="module")
def url(sure_lm: Path) -> Iterator[str]:
    """The address of a real server that holds a small language model."""
    serve = script("distil/serve")
    server = serve.serve(serve.Writer(sure_lm, "tiny", "cpu"), 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()
    server.server_close()


def write_task(folder: Path) -> None:
    folder.mkdir()
    rows = [{"question": question, "answer": "the mat"} for question in QUESTIONS]
    (folder / "writes.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (folder / "writes.yaml").write_text(WRITES.replace("FILE", str(folder / "writes.jsonl")))


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, url: str, sure_lm: Path) -> Path:
    """A run of a served teacher and a student with the same weights."""
    place = tmp_path_factory.mktemp("served")
    (place / "same").symlink_to(sure_lm)
    write_task(place / "tasks")
    tasks = SUITE.replace("distbench_word_problems, samples: 2, include: TASKS", f"writes, include: {place / 'tasks'}")
    (place / "suite.yaml").write_text(tasks.replace("URL", url))
    here(place, "run", "suite.yaml", "--out", "run", "--trust-task-code", str(place / "tasks"), check=None)
    return place / "run"


def cells(run: Path, task: str) -> dict[str, Path]:
    found = {}
    for path in (run / "cells").iterdir():
        cell = json.loads((path / "cell.json").read_text())
        if cell["kind"] == "evaluate" and cell["task"]["name"] == task:
            found[cell["model"]["name"]] = path
    return found


@pytest.mark.parametrize("task", ["distbench_facts", "distbench_subject_verb", "writes"])
def test_a_served_model_answers_as_its_weights_do(finished: Path, task: str) -> None:
    sides = {name: read_samples(path / "samples.parquet") for name, path in cells(finished, task).items()}
    assert sides.keys() == {"big", "same"}
    served, own = (
        {(s["sample_id"], s["metric"]): s for s in side.to_pylist()} for side in (sides["big"], sides["same"])
    )
    assert served.keys() == own.keys()
    for key, sample in served.items():
        assert sample["status"] == "ok"
        assert (sample["score"], sample["prediction"]) == (own[key]["score"], own[key]["prediction"])
        if sample["loglikelihood"] is not None:
            assert sample["loglikelihood"] == pytest.approx(own[key]["loglikelihood"], abs=1e-3)


def test_the_record_says_who_answered_and_the_result_what_is_retained(finished: Path) -> None:
    record = json.loads((cells(finished, "distbench_facts")["big"] / "record.json").read_text())
    assert record["result"]["engine"].endswith("through an OpenAI-compatible server (completions)")
    result = json.loads((finished / "result.json").read_text())
    (student,) = result["students"]
    assert {task["task"]: task["fidelity"]["agreement"]["value"] for task in student["tasks"]} == dict.fromkeys(
        ["distbench_facts", "distbench_subject_verb", "writes"], 1.0
    )
    assert not list((finished / "scratch").glob("*")), "answers are kept until their cell is finished, no longer"


def test_a_chat_api_writes_answers_to_conversations(url: str, tmp_path: Path) -> None:
    def says(body: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
        return [(body["messages"][-1]["content"].upper() + " zz more", None)]

    with serving(Behaviour(says=says)) as server:
        model = OpenAIEndpoint.open(server.url, CPU, OpenAIOptions(model="tiny", api="chat", retries=0))
        lm = served_model(model, lambda *_: None, chat=True)
        talk = json.dumps([{"role": "system", "content": "short"}, {"role": "user", "content": "hello"}])
        requests = [request(talk, {"until": ["zz"], "max_gen_toks": 5}), request(talk, {"until": "zz"})]
        asked = len(server.asked)
        assert lm.generate_until(requests) == ["HELLO ", "HELLO "]
        sent = server.asked[asked:]
    assert [one["stop"] for one in sent] == [["zz"], ["zz"]]
    assert {one["max_tokens"] for one in sent} == {5, 256}
    assert sent[0]["messages"][0] == {"role": "system", "content": "short"}


def request(*args: Any) -> Any:
    return type("Request", (), {"args": args})()


def test_an_answer_that_fails_is_an_error_of_its_document_and_many_fail_the_task(tmp_path: Path) -> None:
    def says(body: dict[str, Any]) -> list[tuple[str, dict[str, Any] | None]]:
        return [("" if body["prompt"] == "q" else "yes", None)]

    broken = {150: "silent"}
    with serving(Behaviour(says=says, modes=broken)) as server:
        model = OpenAIEndpoint.open(server.url, CPU, OpenAIOptions(model="tiny", retries=0, concurrency=1))
        model.keep(tmp_path)
        lm = served_model(model, lambda *_: None, chat=False)
        requests = [request(f"question {i}", {"until": ["zz"]}) for i in range(200)]
        answers = lm.generate_until(requests)
        assert [type(answer) for answer in answers].count(Unanswered) == 1
        (lost,) = [answer for answer in answers if isinstance(answer, Unanswered)]
        assert "the endpoint" in lost.why
        asked = len(server.asked)
        assert lm.generate_until(requests) == ["yes"] * 200
        assert len(server.asked) == asked + 1, "what was answered is not asked for again"
        server.behaviour.modes = {asked + 1 + i: "silent" for i in range(200)}
        with pytest.raises(RunError, match="of 100 answers could not be had, more than 1%"):
            lm.generate_until([request(f"other {i}", {"until": ["zz"]}) for i in range(100)])


@pytest.mark.parametrize(
    ("pieces", "error", "words"),
    [
        ([{"tokens": ["x"], "token_logprobs": [-1.0], "top_logprobs": [{"x": -1.0}]}], UsageError, "does not repeat"),
        ([], UsageError, "does not repeat"),
        ([{"tokens": ["a b", " c"], "token_logprobs": [None, -1.0]}], RunError, "reaches over the end"),
        ([{"tokens": ["a", " b", " c"], "token_logprobs": [None, -1.0, -1.0]}], UsageError, "likeliest tokens"),
        ([{"tokens": ["a"], "token_logprobs": []}], RunError, "unknown form"),
    ],
)
def test_a_server_that_cannot_judge_is_said(pieces: list[dict[str, Any]], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        judged(Reply(logprobs=pieces), "a", " b", "the endpoint x")


def test_tokens_are_placed_by_what_they_show_or_by_the_servers_count() -> None:
    best = {"?": -0.5}
    tokens = ["<s>", "a", " b", " c"]
    piece = {"tokens": tokens, "token_logprobs": [None, -3.0, -1.0, -9.0], "top_logprobs": [None, best, best, best]}
    found = judged(Reply(logprobs=[piece]), "a", " b", "x")
    assert (found.logprob, found.greedy) == (-1.0, False)
    assert judged(Reply(logprobs=[piece]), "", "a b", "x").logprob == -4.0
    parts = {**piece, "tokens": ["\ufffd", "\ufffd", " b", " c"], "text_offset": [0, 0, 1, 3]}
    parts["top_logprobs"] = [None, best, {" b": -1.0}, best]
    found = judged(Reply(logprobs=[parts]), "é", " b", "x")
    assert (found.logprob, found.greedy) == (-1.0, True)


def test_a_text_without_context_needs_something_before_it(url: str) -> None:
    plain = OpenAIEndpoint.open(url, CPU, OpenAIOptions(model="tiny", retries=0))
    with pytest.raises(UsageError, match="first_text"):
        plain.write([Asked("", given="the doctor")], Sampling(most=1))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model: tiny,": "model: tiny, api: chat,"}, "which the chat API cannot say"),
        ({"samples: 6}": "samples: 6, chat_template: own}"}, "no chat template can be applied"),
        ({"lm-eval, name: distbench_facts": "divergence, data: {texts: x.txt}"}, "needs language"),
    ],
)
def test_what_a_server_cannot_be_asked_is_said_before_anything_runs(
    tmp_path: Path, sure_lm: Path, changes: dict[str, str], words: str
) -> None:
    text = SUITE.replace("URL", "http://127.0.0.1:9/v1")
    text = "\n".join(line for line in text.splitlines() if "TASKS" not in line)
    for old, new in changes.items():
        text = text.replace(old, new)
    (tmp_path / "x.txt").write_text("some text\n")
    (tmp_path / "same").symlink_to(sure_lm)
    (tmp_path / "suite.yaml").write_text(text)
    done = here(tmp_path, "run", "suite.yaml", "--out", "run", check=2)
    assert words in done.stderr
    assert not (tmp_path / "run").exists()
