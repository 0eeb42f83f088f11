"""Sequence-level distillation from a served teacher: faults, budgets, kills; nothing is bought twice."""

from __future__ import annotations

import json
import signal as signals
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from distbench.data.paid_budget import BudgetSpentError
from distbench.errors import EnvironmentFault, RunError, UsageError
from distbench.protocols import Sampling
from tests.conftest import save_tiny_lm
from tests.data.answering import ECHO, KEY, QUESTIONS, Served, ask, documents_of, source
from tests.data.texts import CHAT, Handle
from tests.endpoint.server import serving


def test_served_answers_become_rows_and_no_probabilities_are_invented(prompts: str, tiny_lm: Path) -> None:
    with serving(says=ECHO) as server:
        signal = source(prompts).signal(ask(Served(server, "plain"), student=tiny_lm))
    found = documents_of(signal, Handle(tiny_lm).tokenizer())
    assert found == {text: f" answer to {i}<|endoftext|>" for i, text in enumerate(QUESTIONS)}
    assert signal.recorded is None
    assert signal.heldout.logp is None
    assert sorted(body["prompt"] for body in server.asked) == sorted(QUESTIONS)  # as they stand, and each once
    assert {body["max_tokens"] for body in server.asked} == {6}
    assert {body["temperature"] for body in server.asked} == {0.0}
    assert signal.facts["answer_tokens_out"] == 36


def test_an_answer_that_was_cut_does_not_teach_that_it_ended(prompts: str, tiny_lm: Path) -> None:
    with serving(says=ECHO) as server:
        signal = source(prompts, max_new_tokens=2).signal(ask(Served(server, "cut"), student=tiny_lm))
    assert set(documents_of(signal, Handle(tiny_lm).tokenizer()).values()) == {" answer to"}
    assert signal.facts["answers_cut_at_max_new_tokens"] == 12


def test_chats_are_asked_as_messages_and_learned_through_the_students_template(prompts: str, tmp_path: Path) -> None:
    student = save_tiny_lm(tmp_path / "chatty")
    (student / "chat_template.jinja").write_text(CHAT, encoding="utf-8")
    with serving(says=ECHO) as server:
        teacher = Served(server, "chat", api="chat")
        signal = source(prompts, chat=True).signal(ask(teacher, student=student))
        assert server.asked[0]["messages"][0]["role"] == "user"
        with pytest.raises(UsageError, match="completes text, and a prompt is messages; set api: chat"):
            source(prompts, chat=True).signal(ask(Served(server, "text"), student=student))
    found = documents_of(signal, Handle(student).tokenizer())
    prompt = f"<|user|>{QUESTIONS[3]}<|endoftext|>\n<|assistant|>"
    assert any(seen.startswith(prompt) for seen in found)
    assert set(found.values()) == {f" answer to {i}<|endoftext|>" for i in range(12)}


def test_thoughts_of_a_reasoning_model_are_not_its_answer() -> None:
    from distbench.models.openai_answers import answer_of
    from distbench.models.openai_stream import Reply

    reply = Reply()
    for delta in ({"reasoning_content": "hm"}, {"content": " yes"}):
        reply.take(json.dumps({"choices": [{"delta": delta}]}), 1)
    reply.take(json.dumps({"choices": [{"delta": {}, "finish_reason": "stop"}]}), 2)
    assert answer_of(reply, Sampling(9), "it").text == " yes"
    assert len(reply.marks_ns) == 2
    for finish, core in (("content_filter", "content_filter"), (KEY, "one that nobody knows")):
        reply.finish = finish
        with pytest.raises(RunError, match=core) as failed:
            answer_of(reply, Sampling(9), "it")
        assert KEY not in str(failed.value)


def test_refusals_and_garbage_are_waited_out_and_asked_again(prompts: str, tiny_lm: Path) -> None:
    faults = {1: "garbage", 4: "dies", 6: "silent", 8: "ends early", 9: "error event", 10: "other json", 12: "nothing"}
    modes = {number + 3: mode for number, mode in faults.items()}  # after those that are refused by their status
    with serving(says=ECHO, statuses=[429, 500, 503], retry_after="3", modes=modes) as server:
        teacher = Served(server, "faulty")
        signal = source(prompts).signal(ask(teacher, student=tiny_lm))
    assert signal.facts["answers"] == 12
    assert signal.facts["answers_failed"] == 0
    assert len(server.asked) == 12 + 3 + len(faults)
    assert len(teacher.waited) == 3 + len(faults)
    assert teacher.waited[0] >= 3.0  # Retry-After is a floor
    assert all(wait < 3 + 60 for wait in teacher.waited)
    assert set(documents_of(signal, Handle(tiny_lm).tokenizer()).values()) == {
        f" answer to {i}<|endoftext|>" for i in range(12)
    }


def test_a_server_that_stays_broken_fails_the_data_and_what_was_paid_is_kept(prompts: str, tiny_lm: Path) -> None:
    with serving(says=ECHO, mode="garbage", mode_from=5) as server:
        with pytest.raises(RunError, match=r"1 of 12 answers could not be had, more than 1%.*not JSON.*also after 2"):
            source(prompts).signal(ask(Served(server, "broken", retries=2), student=tiny_lm))
        assert len(server.asked) == 5 + 3
    with serving(says=ECHO) as server:
        signal = source(prompts).signal(ask(Served(server, "broken"), student=tiny_lm))
        assert len(server.asked) == 12 - 5
    assert signal.facts["answers"] == 12


def test_a_refused_key_ends_it_at_once(prompts: str, tiny_lm: Path) -> None:
    with serving(key=KEY) as server:
        with pytest.raises(EnvironmentFault, match="refuses access"):
            source(prompts).signal(ask(Served(server, "locked"), student=tiny_lm))
        assert len(server.asked) == 1


def test_a_budget_ends_it_and_a_larger_one_goes_on_from_there(prompts: str, tiny_lm: Path) -> None:
    with serving(says=ECHO) as server:
        teacher = Served(server, "budget")
        with pytest.raises(BudgetSpentError, match="budget of 5 requests: 5 are spent; 5 of 12 answers are there"):
            source(prompts, budget={"requests": 5}).signal(ask(teacher, student=tiny_lm))
        with pytest.raises(BudgetSpentError, match="budget of 5 requests: 5 are spent"):  # the sum of all runs counts
            source(prompts, budget={"requests": 5}).signal(ask(teacher, student=tiny_lm))
        assert len(server.asked) == 5
        signal = source(prompts, budget={"requests": 12}).signal(ask(teacher, student=tiny_lm))
        assert len(server.asked) == 12
    assert signal.facts["answers_new"] == 7


def test_a_control_and_a_second_student_ask_nobody(prompts: str, tiny_lm: Path) -> None:
    with serving(says=ECHO) as server:
        first, second = Served(server, "shared"), Served(server, "shared")
        one = source(prompts).signal(ask(first, student=tiny_lm))
        two = source(prompts, concurrency=9).signal(ask(second, student=tiny_lm))
    assert (first.opened, second.opened) == (1, 0)
    assert torch.equal(one.train.ids, two.train.ids)
    assert (one.from_cache, two.from_cache) == (False, True)


CHILD = """
import sys
from pathlib import Path
from tests.data.answering import Served, ask, source
class Where: url = sys.argv[1]
source(sys.argv[2]).signal(ask(Served(Where(), "killed"), student=Path(sys.argv[3])))
"""


def test_killed_half_way_it_buys_no_answer_twice(
    prompts: str, tiny_lm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISTBENCH_CACHE", str(tmp_path / "cache"))
    with serving(says=ECHO, ttft=0.15) as server:
        command = [sys.executable, "-c", CHILD, server.url, prompts, str(tiny_lm)]
        child = subprocess.Popen(command, cwd=Path(__file__).parents[2])
        kept: list[str] = []
        deadline = time.monotonic() + 120
        while len(kept) < 4 and time.monotonic() < deadline:
            time.sleep(0.02)
            found = list((tmp_path / "cache").rglob("answers/*.jsonl"))
            kept = found[0].read_text(encoding="utf-8").splitlines() if found else []
        child.send_signal(signals.SIGKILL)
        child.wait()
        (store,) = (tmp_path / "cache").rglob("answers/*.jsonl")
        before = len(server.asked)
        paid = {json.loads(line)["text"] for line in store.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]}
        assert 4 <= before < 12
        signal = source(prompts).signal(ask(Served(server, "killed"), student=tiny_lm))
        again = [f" answer to {body['prompt'].split()[2]}" for body in server.asked[before:]]
    assert len(paid) >= 3
    assert signal.facts["answers"] == 12
    assert not paid & set(again)
    assert len(server.asked) <= 12 + 1  # the one that was under way when the kill came
    assert {body["prompt"] for body in server.asked} == set(QUESTIONS)
