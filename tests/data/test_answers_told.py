"""The likeliest tokens that a server tells, as the student's own tokens: exact, or refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from distbench.errors import RunError, UsageError
from distbench.models.hf_causal import HFCausal
from tests.conftest import CPU
from tests.data.answering import ECHO, QUESTIONS, Served, ask, source
from tests.data.texts import DISTRIBUTION
from tests.endpoint.server import serving


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
