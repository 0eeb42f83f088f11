"""Made-up long texts: seeded, as long as they say, answerable from the text alone, and never truncated."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from distbench import plugins
from distbench.data.haystack import SENTENCES, sentences
from distbench.data.long_context import CHARACTERS_PER_TOKEN, Shape, contexts, listed
from distbench.errors import RunError, UsageError
from distbench.hashing import text_digest
from distbench.models.hf_causal import HFCausal
from distbench.protocols import Sample
from distbench.schema.suite import TaskSpec
from distbench.tasks import long_context_answers as answers
from distbench.tasks.long_context import LongContextTask
from tests.conftest import CPU

SHAPES = [
    Shape("needle"),
    Shape("multi-key", 6, 4),
    Shape("multi-value", 4, 4),
    Shape("variable-tracking", 4, 4),
]
KINDS = [shape.kind for shape in SHAPES]


def quiet(*_: object) -> None:
    """Hear no progress."""


def task(**given: Any) -> LongContextTask:
    spec = TaskSpec.model_validate({"use": "long-context", **given})
    return LongContextTask(LongContextTask.resolve(spec, Path.cwd()))


def solve(text: str, stem: str) -> str:
    """Answer a question by reading the notes: the oracle that a model is measured against."""
    shows = dict(re.findall(r"The (\w+ \w+) counter shows (\d+)\.", text))
    showed: dict[str, list[str]] = {}
    for name, number in re.findall(r"The (\w+ \w+) counter once showed (\d+)\.", text):
        showed.setdefault(name, []).append(number)
    copies = dict(re.findall(r"The (\w+ \w+) counter copies the (\w+ \w+) counter\.", text))
    name = re.findall(r"Answer: The (\w+ \w+) counter", stem)[0]
    while name in copies:
        name = copies[name]
    return listed(tuple(map(int, showed.get(name) or [shows[name]])))


@pytest.mark.parametrize("shape", SHAPES, ids=KINDS)
def test_the_text_alone_answers_every_question(shape: Shape) -> None:
    for context in contexts(shape, 512, 12, 0):
        assert len(context.questions) == shape.questions
        for question in context.questions:
            assert len(set(question.choices)) == shape.choices
            assert question.choices[question.gold] == solve(context.text, question.stem)


@pytest.mark.parametrize("shape", SHAPES, ids=KINDS)
@pytest.mark.parametrize("length", [256, 512, 4096])
def test_a_prompt_fills_its_nominal_length_and_never_exceeds_it(shape: Shape, length: int) -> None:
    for context in contexts(shape, length, 6, 1):
        whole = [len(context.text + q.stem) + 1 + max(map(len, q.choices)) for q in context.questions]
        assert (context.text + context.questions[0].stem).isascii()  # so characters are bytes
        assert max(whole) <= length * CHARACTERS_PER_TOKEN
        assert max(whole) > length * CHARACTERS_PER_TOKEN - 140  # one sentence


@pytest.mark.parametrize("shape", SHAPES[1:], ids=KINDS[1:])
def test_wrong_answers_hold_numbers_of_the_same_text(shape: Shape) -> None:
    for context in contexts(shape, 512, 6, 0):
        for question in context.questions:
            assert all(n in context.text for choice in question.choices for n in re.findall(r"\d+", choice))


def test_wrong_answers_of_a_needle_are_not_in_the_text() -> None:
    for context in contexts(Shape(), 512, 6, 0):
        (question,) = context.questions
        assert [c for c in question.choices if c in context.text] == [question.choices[question.gold]]


@pytest.mark.parametrize("shape", SHAPES, ids=KINDS)
def test_the_place_of_the_right_answer_goes_round(shape: Shape) -> None:
    places = Counter(q.gold for context in contexts(shape, 512, 20, 0) for q in context.questions)
    assert len(set(places.values())) == 1
    assert set(places) == {0, 1, 2, 3}


def test_needles_lie_at_even_depths() -> None:
    depths = [context.questions[0].depth for context in contexts(Shape(), 2048, 20, 0)]
    assert depths == sorted(depths)
    assert all(abs(depth - (i + 0.5) / 20) < 0.03 for i, depth in enumerate(depths))
    samples = answers.asked_of(list(contexts(Shape(), 2048, 20, 0)), 20)
    assert Counter(min(3, int(item.depth * 4)) for item in samples) == {0: 5, 1: 5, 2: 5, 3: 5}


def test_the_facts_of_a_text_are_asked_about_in_turn() -> None:
    shape = Shape("multi-key", 8, 2, 2)
    depths = [q.depth for context in contexts(shape, 1024, 40, 0) for q in context.questions]
    assert Counter(int(depth * 4) for depth in depths).keys() == {0, 1, 2, 3}


def test_texts_are_seeded_and_the_same_in_every_release() -> None:
    first, again, other = (list(contexts(SHAPES[1], 512, 3, seed)) for seed in (0, 0, 1))
    assert first == again
    assert first != other
    assert len({context.text for context in first}) == 3
    # A changed text is another test: raise CODE_VERSION with this digest.
    made = [context.text for shape in SHAPES for context in contexts(shape, 512, 2, 0)]
    assert text_digest(made)[:16] == "d9a14dc52563ac82"


def test_prose_has_no_numbers_and_does_not_repeat_itself_at_once() -> None:
    import random

    stream = sentences(random.Random(0))
    lines = [next(stream) for _ in range(2000)]
    assert not re.search(r"\d|counter|[{}]", " ".join(lines))
    assert len(set(lines)) > 1600
    assert all(one != two for one, two in itertools.pairwise(lines))
    assert all(line[0].isupper() and line.endswith(".") and "  " not in line for line in lines)
    assert len(SENTENCES) == len(set(SENTENCES))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"kind": "needle", "questions": 3}, "answers one question"),
        ({"kind": "multi-key", "needles": 2}, "need 4 needles in a text, got 2"),
        ({"kind": "multi-value", "lengths": [128]}, "128 nominal tokens are 512 characters, too few for 4 facts"),
        ({"lengths": [512, 512]}, "stands twice"),
        ({"data": {"use": "sklearn-digits"}}, "leave data out"),
    ],
)
def test_what_cannot_be_asked_is_refused_before_a_model_is_loaded(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        task(**given)


def test_it_is_an_installed_plug_in_and_options_decide_the_identity() -> None:
    assert plugins.load("tasks", "long-context") is LongContextTask
    spec = TaskSpec(use="long-context")
    assert LongContextTask.identity(spec) == LongContextTask.identity(TaskSpec.model_validate(
        {"use": "long-context", "kind": "needle", "choices": 4, "samples": 100}
    ))  # fmt: skip
    changed = TaskSpec.model_validate({"use": "long-context", "choices": 5})
    assert LongContextTask.identity(changed) != LongContextTask.identity(spec)


def test_every_question_becomes_a_row_with_its_length_depth_and_cluster(tiny_lm: Path) -> None:
    heard: list[tuple[int, int]] = []
    asked = task(kind="multi-key", lengths=[256, 128], samples=6)
    outcome = asked.run(HFCausal.open(tiny_lm, CPU), CPU, lambda done, total, _: heard.append((done, total)))
    assert Counter(s.length for s in outcome.samples) == {128: 6, 256: 6}
    assert len({s.sample_id for s in outcome.samples}) == 12
    assert {s.cluster for s in outcome.samples} == {"128/0", "128/1", "256/0", "256/1"}
    assert {s.groups["depth"] for s in outcome.samples} <= set(answers.QUARTERS)
    (metric,) = outcome.metrics
    assert (metric.name, metric.kind, metric.baseline, metric.primary) == ("acc", "binary", 0.25, True)
    for sample in outcome.samples:
        assert sample.status == "ok"
        assert sample.score == float(sample.prediction == sample.label)
        assert 0 < (sample.label_probability or 0) <= (sample.confidence or 0) <= 1
        assert sample.loglikelihood is not None
        assert sample.loglikelihood < 0
    assert heard[-1] == (12, 12)
    assert heard == sorted(heard)
    assert re.search(r"tokens: 128 nominal = \d+–\d+, 256 nominal", outcome.engine)


def test_scores_are_those_of_the_model_asked_directly(tiny_lm: Path) -> None:
    import torch

    model = HFCausal.open(tiny_lm, CPU)
    sample = task(lengths=[128], samples=1).run(model, CPU, quiet).samples[0]
    ids = model.tokenizer(sample.prompt)["input_ids"]
    answer = model.tokenizer(f" {sample.label}")["input_ids"]
    with torch.inference_mode():
        logits = model.module(torch.tensor([ids + answer])).logits[0].log_softmax(-1)
    direct = sum(float(logits[len(ids) - 1 + i, token]) for i, token in enumerate(answer))
    assert sample.loglikelihood == pytest.approx(direct, abs=1e-3)


def test_a_length_beyond_the_model_is_not_run_as_a_whole_and_says_both_numbers(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)  # 1,024 positions; nearly one token a character
    outcome = task(lengths=[128, 1024], samples=4).run(model, CPU, quiet)
    status = {length: {s.status for s in outcome.samples if s.length == length} for length in (128, 1024)}
    assert status == {128: {"ok"}, 1024: {"not_run"}}
    beyond = [s for s in outcome.samples if s.length == 1024]
    assert all(s.score is None for s in beyond)
    assert re.fullmatch(
        r"not run: prompts of up to [2-4],\d{3} tokens, and the model takes 1,024", beyond[0].prediction
    )
    assert "1024 nominal" in outcome.engine
    assert outcome.engine.endswith("(not run)")


def test_two_models_are_asked_the_same_whatever_they_take(tiny_lm: Path) -> None:
    short, long = HFCausal.open(tiny_lm, CPU), HFCausal.open(tiny_lm, CPU)
    short.module.config.max_position_embeddings = 600
    one, two = (task(lengths=[128, 256], samples=2).run(m, CPU, quiet) for m in (short, long))
    assert [s.status for s in one.samples] == ["ok"] * 2 + ["not_run"] * 2
    assert one.prompt_digest == two.prompt_digest
    assert one.data_digest == two.data_digest
    assert [s.sample_id for s in one.samples] == [s.sample_id for s in two.samples]


def test_a_model_that_takes_no_length_is_an_error_that_names_both_numbers(tiny_lm: Path) -> None:
    with pytest.raises(RunError, match=r"take up to [2-4],\d{3} tokens, and the model takes 1,024"):
        task(lengths=[1024, 2048], samples=2).run(HFCausal.open(tiny_lm, CPU), CPU, quiet)


def _asking(monkeypatch: pytest.MonkeyPatch, reply: Any) -> SimpleNamespace:
    """Replace the model behind `ask`: the oracle knows the notes, whatever its weights are."""

    def score(model: Any, pairs: Sequence[tuple[str, str]], watch: Any, batch_size: int) -> list[tuple[float, bool]]:
        return [(reply(prompt, text), False) for prompt, text in pairs]

    def write(model: Any, prompts: Sequence[str], watch: Any, **_: Any) -> list[str]:
        return [reply(prompt, None) for prompt in prompts]

    monkeypatch.setattr(answers, "loglikelihoods", score)
    monkeypatch.setattr(answers, "continuations", write)
    tokenizer = lambda texts: {"input_ids": [text.split() for text in texts]}  # noqa: E731
    return SimpleNamespace(
        tokenizer=tokenizer, module=SimpleNamespace(config=SimpleNamespace(max_position_embeddings=4096))
    )


def _mean(samples: list[Sample]) -> float:
    return sum(s.score or 0.0 for s in samples) / len(samples)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("answer", ["choice", "generate"])
def test_a_reader_scores_one(kind: str, answer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def read(prompt: str, text: str | None) -> Any:
        truth = solve(prompt, prompt[prompt.index("\n\nQuestion") :])
        return f" {truth}. And then" if text is None else float(text == f" {truth}")

    outcome = task(kind=kind, answer=answer, samples=8).run(_asking(monkeypatch, read), CPU, quiet)
    assert _mean(outcome.samples) == 1.0
    assert outcome.metrics[0].baseline == (0.25 if answer == "choice" else 0.0)


@pytest.mark.parametrize("kind", KINDS)
def test_one_who_does_not_read_scores_chance_on_choices_and_nothing_in_writing(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    always_same = _asking(monkeypatch, lambda prompt, text: 0.0 if text else " I do not know 12345")
    assert _mean(task(kind=kind, samples=40).run(always_same, CPU, quiet).samples) == 0.25
    assert _mean(task(kind=kind, answer="generate", samples=40).run(always_same, CPU, quiet).samples) == 0.0


def test_a_nan_is_an_error_although_argmax_would_choose_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = task(samples=4).run(_asking(monkeypatch, lambda *_: float("nan")), CPU, quiet)
    assert {(s.score, s.status, s.confidence) for s in outcome.samples} == {(None, "error", None)}


@pytest.mark.parametrize(
    ("written", "right"),
    [("48213", 1.0), (" 48,213 times", 1.0), ("number 48213", 1.0), ("48213, 11111", 1.0), ("11111, 48213", 0.0),
     ("482", 0.0), ("482135", 0.0), ("", 0.0)],
)  # fmt: skip
def test_a_written_answer_counts_by_its_first_numbers(written: str, right: float) -> None:
    item = answers.Asked("i", None, 128, "p", ("48213", "11111"), 0, 0.5)
    assert answers._of_text("t", item, written).score == right


def test_generation_asks_for_enough_tokens(tiny_lm: Path) -> None:
    outcome = task(lengths=[128], answer="generate", samples=2).run(HFCausal.open(tiny_lm, CPU), CPU, quiet)
    assert {s.metric for s in outcome.samples} == {"exact_match"}
    assert {s.status for s in outcome.samples} == {"ok"}
    item = answers.Asked("i", None, 128, "p", ("11111, 22222 and 33333",), 0, 0.5)
    assert answers.answer_tokens([item]) == 32
