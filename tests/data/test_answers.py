"""Sequence-level distillation: from prompts to rows, with a teacher that runs here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from distbench import plugins
from distbench.data.answers import AnswersOptions
from distbench.data.answers_prompts import prompts_in
from distbench.errors import RunError, UsageError
from distbench.hashing import digest
from distbench.host import cache_dir
from distbench.models.hf_causal import HFCausal
from distbench.models.writing import WritesByLogits
from distbench.protocols import Asked, Sampling, Written
from tests.conftest import CPU, save_tiny_lm
from tests.data.answering import QUESTIONS, ask, documents_of, source
from tests.data.texts import DISTRIBUTION, Handle, exchange, lines

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
    with pytest.raises(UsageError, match="the tokenizers differ"):
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
