"""Sequence-level distillation: from prompts to rows, with a teacher that runs here and with one that is paid."""

from __future__ import annotations

import json
import signal as signals
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from distbench import plugins
from distbench.data.answers import Answers, AnswersOptions
from distbench.data.answers_prompts import prompts_in
from distbench.data.paid_budget import BudgetSpentError
from distbench.data.token_signal import TokenSignal
from distbench.errors import EnvironmentFault, RunError, UsageError
from distbench.hashing import digest
from distbench.host import cache_dir
from distbench.models.hf_causal import HFCausal
from distbench.models.openai_endpoint import OpenAIEndpoint, OpenAIOptions
from distbench.models.openai_http import Server
from distbench.models.writing import WritesByLogits
from distbench.protocols import Asked, Sampling, SignalRequest, Written
from tests.conftest import CPU, save_tiny_lm
from tests.data.test_text import CHAT, DISTRIBUTION, Handle, exchange, lines
from tests.endpoint.server import MODEL, Loopback, serving

QUESTIONS = [f"the doctor {i} with" for i in range(12)]
KEY = "canary-3c51d0aa"


class Served:
    """A paid teacher, as a cell gives it; waits are noted instead of waited."""

    offers = OpenAIEndpoint.offers

    def __init__(self, server: Loopback, name: str, **given: Any) -> None:
        self.server, self.waited, self.opened = server, list[float](), 0
        self.identity = self.writer = name
        self.options = OpenAIOptions(model=MODEL, **given)

    def open(self) -> OpenAIEndpoint:
        self.opened += 1
        http = Server(self.server.url, MODEL, timeout_seconds=2)
        return OpenAIEndpoint(http, self.options, sleep=self.waited.append)

    def tokenizer(self) -> None:
        return None


@pytest.fixture
def prompts(tmp_path: Path) -> str:
    return lines(tmp_path / "prompts.jsonl", [{"prompt": text} for text in QUESTIONS])


def source(prompts: str, **given: Any) -> Answers:
    settings = {"prompts": prompts, "length": 64, "heldout": 2, "max_new_tokens": 6, "concurrency": 1, **given}
    return Answers(plugins.validated(AnswersOptions, settings))  # type: ignore[arg-type]


def ask(*teachers: Any, student: Path, asks: frozenset[str] = frozenset(), **given: Any) -> SignalRequest:
    return SignalRequest(teachers=teachers, tokenizer=Handle(student).tokenizer, asks=asks, **given)


def documents_of(signal: TokenSignal, tokenizer: Any) -> dict[str, str]:
    """Return prompt → what is learned after it, of the rows of both sides."""
    found = {}
    for rows in (signal.train, signal.heldout.rows):
        for row in range(len(rows)):
            for number in range(int(rows.documents[row].max()) + 1):
                at = (rows.documents[row] == number).nonzero().flatten().tolist()
                learned = [rows.ids[row, t + 1] for t in at[:-1] if rows.scored[row, t]]
                seen = [int(t) for t in rows.ids[row, at]][: len(at) - len(learned)]
                found[tokenizer.decode(seen)] = tokenizer.decode(learned)
    return found


def says(text: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], list[tuple[str, None]]]:
    """A server that answers with the words of a text."""
    return lambda body: [(f" {word}", None) for word in text(body).split()]


ECHO = says(lambda body: "answer to " + str(body.get("prompt") or body["messages"][-1]["content"]).split()[2])


# -- prompts -----------------------------------------------------------------------------------------------------------


def test_prompts_are_texts_or_conversations_up_to_the_assistant(tmp_path: Path) -> None:
    talk = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    file = lines(tmp_path / "p.jsonl", [{"prompt": "p"}, {"messages": talk}, {"text": "t"}, {"prompt": "p"}])
    assert prompts_in([file], None, chat=False) == ["p", talk[:1], "t"]
    assert prompts_in([file], None, chat=True)[0] == [{"role": "user", "content": "p"}]
    plain = tmp_path / "p.txt"
    plain.write_text("one\n\ntwo\n", encoding="utf-8")
    assert prompts_in([str(plain)], None, chat=False) == ["one", "two"]
    for content, core in (("", "holds no prompt"), ('{"x": 1}', "no 'prompt' or 'messages' or 'text'")):
        (tmp_path / "bad.jsonl").write_text(content, encoding="utf-8")
        with pytest.raises(RunError, match=core):
            prompts_in([str(tmp_path / "bad.jsonl")], None, chat=False)


def test_several_answers_at_temperature_0_are_refused() -> None:
    for given in ({"answers": 2}, {"max_new_tokens": 0}, {"temperature": -1.0}, {"budget": {"cost": 1.0}}):
        with pytest.raises(ValidationError):
            plugins.validated(AnswersOptions, {"prompts": "p", **given})


# -- a teacher that runs here ------------------------------------------------------------------------------------------


def test_greedy_answers_are_the_teachers_and_only_they_are_learned(prompts: str, sure_lm: Path) -> None:
    teacher = Handle(sure_lm)
    signal = source(prompts).signal(ask(teacher, student=sure_lm))
    model, found = teacher.open(), documents_of(signal, teacher.tokenizer())
    assert sorted(found) == sorted(QUESTIONS)
    for text in QUESTIONS:
        expected = model.continue_greedily(model.tokenizer(text)["input_ids"], 6, lambda t: t[-1] in model.ends)
        assert found[text] == model.tokenizer.decode(expected)
    assert signal.facts["answers"] == signal.facts["answers_new"] == 12
    assert (signal.facts["documents"], signal.facts["documents_heldout"]) == (10, 2)


def test_batches_and_kept_answers_change_nothing(prompts: str, sure_lm: Path) -> None:
    teacher = Handle(sure_lm)
    drawn = {"temperature": 0.8, "answers": 3, "max_new_tokens": 5}
    one = source(prompts, **drawn, batch=1, answer_seed=5).signal(ask(teacher, student=sure_lm))
    wide = source(prompts, **drawn, batch=7, answer_seed=6).signal(ask(teacher, student=sure_lm))
    again = source(prompts, **drawn, batch=7, answer_seed=5, heldout=3).signal(ask(teacher, student=sure_lm))
    assert one.facts["answers"] == 36
    assert again.facts["answers_new"] == 0  # kept, though the rows are others
    assert not torch.equal(one.train.ids, wide.train.ids)
    store = next(
        path for path in (cache_dir() / "answers").glob("*.jsonl") if len(path.read_bytes().splitlines()) == 72
    )
    said = {row["key"]: row["text"] for row in map(json.loads, store.read_text(encoding="utf-8").splitlines())}
    assert len(set(said.values())) > 30
    key = digest([QUESTIONS[0], 1, 5])  # the second answer to the first prompt, asked for alone
    (alone,) = teacher.open().write([Asked(QUESTIONS[0], int(key[:12], 16))], Sampling(5, 0.8))
    assert alone.text == said[key]


class Runtime(WritesByLogits):
    """A model with the verbs of `Language`, and no module."""

    def __init__(self, model: HFCausal) -> None:
        self.tokenizer, self.ends, self.context_length = model.tokenizer, model.ends, model.context_length
        self.logits, self.continue_greedily = model.logits, model.continue_greedily


def test_a_runtime_without_a_module_writes_the_same(sure_lm: Path) -> None:
    model = HFCausal.open(sure_lm, CPU)
    asked = [Asked(text, seed) for seed, text in enumerate(QUESTIONS[:4])]
    for sampling in (Sampling(5), Sampling(5, temperature=0.7)):
        assert Runtime(model).write(asked, sampling) == model.write(asked, sampling)


def test_the_teachers_distribution_is_recorded_where_the_tokenizers_agree(prompts: str, sure_lm: Path) -> None:
    signal = source(prompts, max_new_tokens=4).signal(ask(Handle(sure_lm), student=sure_lm, asks=DISTRIBUTION))
    assert signal.recorded is not None
    scored = signal.train.scored
    likeliest = torch.stack([row.int() for row in signal.recorded.ids])[..., 0]
    assert torch.equal(likeliest[scored], signal.train.ids[:, 1:][scored])  # greedy answers are the likeliest tokens
    assert signal.heldout.logp is not None


class Speaking(Handle):
    """A teacher with a tokenizer whose answers are words, as its own tokens and as text."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.writer = "speaking"

    def open(self) -> Any:
        tokenizer, end = self.tokenizer(), self.tokenizer().eos_token_id

        class Model:
            def write(self, asked: list[Asked], sampling: Sampling) -> list[Written]:
                texts = [f" the cats {str(one.prompt).split()[2]}" for one in asked]
                return [Written(text, True, (*tokenizer(text)["input_ids"], end), 3, 4) for text in texts]

        return Model()


def test_a_student_with_another_tokenizer_learns_the_text(prompts: str, sure_lm: Path, tmp_path: Path) -> None:
    """Its ids mean something else; the text is the teacher's all the same."""
    other = save_tiny_lm(tmp_path / "other")
    tokenizer = Handle(sure_lm).tokenizer()
    first, second = tokenizer.convert_tokens_to_ids(["\u0120the", "\u0120cats"])
    exchange(other, first, second)
    expected = {text: f" the cats {i}<|endoftext|>" for i, text in enumerate(QUESTIONS)}
    words_only = Speaking(sure_lm, frozenset({"language", "write"}))
    across = source(prompts).signal(ask(words_only, student=other))
    same = source(prompts).signal(ask(words_only, student=sure_lm))
    assert documents_of(across, Handle(other).tokenizer()) == expected
    assert documents_of(same, tokenizer) == expected
    assert documents_of(across, tokenizer) != expected
    assert across.recorded is None
    with pytest.raises(UsageError, match="different tokenizers"):
        source(prompts).signal(ask(Speaking(sure_lm), student=other, asks=DISTRIBUTION))


def test_several_teachers_each_answer_and_count_the_same(prompts: str, tiny_lm: Path, other_lm: Path) -> None:
    pair = (Handle(tiny_lm), Handle(other_lm))
    signal = source(prompts, samples=4).signal(ask(*pair, student=tiny_lm, weights=(0.5, 0.5)))
    assert (signal.facts["answers"], signal.facts["documents"], signal.facts["documents_heldout"]) == (12, 8, 4)
    with pytest.raises(UsageError, match="answers of several teachers count the same"):
        source(prompts).signal(ask(*pair, student=tiny_lm, weights=(0.9, 0.1)))


def test_a_prompt_longer_than_the_context_is_refused_before_any_answer(prompts: str, tiny_lm: Path) -> None:
    with pytest.raises(UsageError, match="more than the teacher's context of 1024"):
        source(prompts, max_new_tokens=1023).signal(ask(Handle(tiny_lm), student=tiny_lm))


# -- a teacher that is paid --------------------------------------------------------------------------------------------


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
from tests.data.test_answers import Served, ask, source
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


# -- log-probabilities -------------------------------------------------------------------------------------------------


class Telling:
    """A served model that tells the likeliest tokens of a real one, in either API's form."""

    def __init__(self, path: Path, k: int, *, chat: bool = False) -> None:
        self.model, self.k, self.chat = HFCausal.open(path, CPU), k, chat
        self.pieces = {v: k for k, v in self.model.tokenizer.get_vocab().items()}
        self.logp: dict[str, torch.Tensor] = {}

    def text(self, token: int) -> str:
        return str(self.model.tokenizer.decode([token]))

    def __call__(self, body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        tokenizer, prompt = self.model.tokenizer, body["prompt"]
        ids = tokenizer(prompt)["input_ids"]
        answer = tokenizer(" the cats were")["input_ids"]
        with torch.inference_mode():
            logits = self.model.module(torch.tensor([[*ids, *answer]])).logits[0, len(ids) - 1 : -1]
        logp = self.logp[prompt] = torch.log_softmax(logits, dim=-1)
        found = []
        for token, row in zip(answer, logp, strict=True):
            text = [t for t in row.argsort(descending=True).tolist() if "\ufffd" not in self.text(t) and t != 0]
            top = {self.text(t): float(row[t]) for t in text[: self.k]}
            told = {"tokens": [self.text(token)], "token_logprobs": [float(row[token])], "top_logprobs": [top]}
            found.append((self.text(token), told))
        return found


def test_told_log_probabilities_are_recorded_for_the_tokens_they_are_about(prompts: str, sure_lm: Path) -> None:
    telling = Telling(sure_lm, 5)
    with serving(says=telling) as server:
        teacher = Served(server, "telling")
        data = source(prompts, top_logprobs=5, max_new_tokens=9)
        signal = data.signal(ask(teacher, student=sure_lm, asks=DISTRIBUTION))
        control = data.signal(ask(teacher, student=sure_lm))
    assert server.asked[0]["logprobs"] == 5
    assert signal.recorded is not None
    assert torch.equal(signal.train.scored, control.train.scored)  # both learn at the same places
    tokenizer, ends, checked = telling.model.tokenizer, 0, 0
    for row in range(len(signal.train)):
        for t in signal.train.scored[row].nonzero().flatten().tolist():
            ids, logp = signal.recorded.ids[row, t], signal.recorded.logp[row, t].float()
            if int(signal.train.ids[row, t + 1]) == 0:  # the end: certain, for nothing else is known about it
                assert int(ids[0]) == 0
                assert logp.exp().tolist() == [1.0, 0.0, 0.0, 0.0, 0.0]
                assert len(set(ids.tolist())) == 5
                ends += 1
                continue
            first = max(
                s
                for s in range(t + 1)
                if s == 0 or signal.train.documents[row, s] != signal.train.documents[row, s - 1]
            )
            text = tokenizer.decode(signal.train.ids[row, first : t + 1].tolist())
            prompt = next(p for p in QUESTIONS if text.startswith(p))
            step = t + 1 - first - len(tokenizer(prompt)["input_ids"])
            torch.testing.assert_close(logp, telling.logp[prompt][step][ids.long()], atol=2e-2, rtol=2e-3)
            checked += 1
    assert (ends, checked) == (10, 10 * len(tokenizer(" the cats were")["input_ids"]))


def test_bytes_are_believed_before_text() -> None:
    from distbench.models.openai_answers import _guesses

    top = [{"token": "?", "bytes": [226, 128], "logprob": -1.0}, {"token": "�", "logprob": -2.0}]
    (guess,) = _guesses({"content": [{"token": " a", "bytes": [32, 97], "logprob": -0.1, "top_logprobs": top}]})
    assert guess.token == b" a"
    assert guess.top == ((b"\xe2\x80", -1.0), (None, -2.0))
    for bad in ({"content": [{}]}, {"tokens": ["a"], "top_logprobs": []}, {"content": [{"token": 3}]}):
        with pytest.raises(RunError, match="unknown form"):
            _guesses(bad)


def test_another_tokenizer_is_refused_with_the_place_and_the_answers_are_kept(
    prompts: str, sure_lm: Path, tmp_path: Path
) -> None:
    class Merged(Telling):
        def __call__(self, body: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
            pieces = super().__call__(body)
            (first, told), (second, _), *rest = pieces
            joined = {**told, "tokens": [first + second]}
            return [(first + second, joined), *rest]

    with serving(says=Merged(sure_lm, 3)) as server:
        teacher = Served(server, "merged")
        with pytest.raises(UsageError, match="the student reads b' the', the teacher wrote b' the cats'"):
            source(prompts, top_logprobs=3).signal(ask(teacher, student=sure_lm, asks=DISTRIBUTION))
        asked = len(server.asked)
        assert asked == 12
        signal = source(prompts).signal(ask(replace_name(teacher), student=sure_lm))
        assert signal.facts["answers"] == 12


def replace_name(teacher: Served) -> Served:
    """The same server under a name of its own."""
    return Served(teacher.server, teacher.writer + "-again")


def test_a_server_that_tells_nothing_is_found_out_by_its_first_answer(prompts: str, tiny_lm: Path) -> None:
    with serving(says=ECHO) as server:
        with pytest.raises(UsageError, match="told no log-probabilities; leave out top_logprobs"):
            source(prompts, top_logprobs=3).signal(ask(Served(server, "mute"), student=tiny_lm, asks=DISTRIBUTION))
        assert len(server.asked) == 1


def test_told_log_probabilities_have_one_temperature(prompts: str, tiny_lm: Path) -> None:
    with serving(says=ECHO) as server:
        request = replace(ask(Served(server, "hot"), student=tiny_lm, asks=DISTRIBUTION), temperature=2.0)
        with pytest.raises(UsageError, match="at temperature 1: the method must use"):
            source(prompts, top_logprobs=3).signal(request)
        online = replace(ask(Served(server, "online"), student=tiny_lm, asks=DISTRIBUTION), record=False)
        with pytest.raises(UsageError, match="cannot be asked while a student trains"):
            source(prompts, top_logprobs=3).signal(online)
        assert not server.asked
    needs = source(prompts, top_logprobs=3).needs_for
    assert needs(DISTRIBUTION) == {"served"}
    assert needs(frozenset({"hidden"})) == {"causal-lm"}
    assert source(prompts).needs_for(frozenset()) == frozenset()
