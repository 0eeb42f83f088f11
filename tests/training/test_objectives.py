"""Every loss of the catalogue trains a language model: through the recipe, the pupil and the trainer."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from distbench.data.teacher_sampled import TeacherSampledOptions, sample
from distbench.data.token_signal import HeldOut, TokenRows, TokenSignal
from distbench.errors import UsageError
from distbench.models.hf_causal import HFCausal
from distbench.protocols import LearnSession, SignalRequest, TrainingRecipe
from distbench.schema.training import Budget, Term
from distbench.training.foreign import Foreigner, read
from distbench.training.objective import losses_of
from distbench.training.pupil import Pupil
from distbench.training.teachers import Tutors
from tests.conftest import CPU, save_tiny_lm
from tests.training.test_causal_lm import Handle, recipe, student


@pytest.fixture(scope="module")
def sharp(tiny_lm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A teacher that is sure of itself."""
    model = HFCausal.open(tiny_lm, CPU)
    with torch.no_grad():
        model.module.get_decoder().norm.weight.mul_(20.0)
    folder = tmp_path_factory.mktemp("sharp") / "model"
    model.save(folder)
    return folder


@pytest.fixture(scope="module")
def signal(sharp: Path) -> TokenSignal:
    options = TeacherSampledOptions(sequences=16, length=12, heldout=4)
    sampled = sample([HFCausal.open(sharp, CPU)], options, SignalRequest([Handle(sharp)]))
    return dataclasses.replace(sampled, recorded=None)


OBJECTIVES = [
    [Term(use="reverse-kl", temperature=2.0)],
    [Term(use="jsd", beta=0.3)],
    [Term(use="skew-kl", alpha=0.1)],
    [Term(use="total-variation")],
    [Term(use="logit-mse")],
    [Term(use="forward-kl", weight=5.0, temperature=2.0), Term(use="labels", weight=2.0), Term(use="hidden")],
    [Term(use="hidden", measure="mse")],
    [Term(use="attention")],
    [Term(use="forward-kl"), Term(use="relation", weight=0.5)],
]


@pytest.mark.parametrize("terms", OBJECTIVES, ids=lambda terms: "+".join(term.use for term in terms))
def test_an_objective_falls_when_it_is_trained(sharp: Path, signal: TokenSignal, terms: list[Term]) -> None:
    model = student(sharp)
    report = model.learn(signal, recipe(*terms, steps=12, batch_size=8), LearnSession(teachers=[Handle(sharp)]))
    values = [value for _, value in report.loss]
    assert all(math.isfinite(value) for value in values)
    assert values[-1] < values[0]
    assert report.options["teacher"] == "online"


def test_projectors_are_trained_and_stay_out_of_the_student(sharp: Path, signal: TokenSignal, tmp_path: Path) -> None:
    narrow = HFCausal.open(_narrower(tmp_path, sharp), CPU)
    names = {name for name, _ in narrow.module.named_parameters()}
    report = narrow.learn(signal, recipe(Term(use="hidden"), steps=8), LearnSession(teachers=[Handle(sharp)]))
    assert report.loss[-1][1] < report.loss[0][1]
    assert {name for name, _ in narrow.module.named_parameters()} == names
    again = HFCausal.open(_narrower(tmp_path / "again", sharp), CPU)
    refused = Term(use="hidden", projector="none")
    with pytest.raises(UsageError, match=r"hidden.*layer|layer.*hidden"):
        again.learn(signal, recipe(refused, steps=1), LearnSession(teachers=[Handle(sharp)]))


def _narrower(folder: Path, like: Path) -> Path:
    """Save a model of half the width with the same tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(like)
    config.update({"hidden_size": config.hidden_size // 2, "num_hidden_layers": 2, "head_dim": None})
    config.head_dim = config.hidden_size // config.num_attention_heads
    target = folder / "half"
    HFCausal(AutoModelForCausalLM.from_config(config), HFCausal.tokenizer_of(like), CPU).save(target)
    return target


def test_a_mixture_of_teachers_is_weighted(sharp: Path, other_lm: Path, signal: TokenSignal) -> None:
    def first_loss(weights: tuple[float, ...]) -> float:
        session = LearnSession(teachers=[Handle(sharp), Handle(other_lm)], weights=weights)
        return student(sharp).learn(signal, recipe(steps=1), session).loss[0][1]

    near, middle, far = first_loss((0.999, 0.001)), first_loss((0.5, 0.5)), first_loss((0.001, 0.999))
    assert len({round(each, 4) for each in (near, middle, far)}) == 3
    assert middle < max(near, far)  # KL is convex in the teacher


def test_a_teacher_asked_nothing_is_not_loaded(sharp: Path, signal: TokenSignal) -> None:
    class Unopened(Handle):
        def open(self) -> HFCausal:
            raise AssertionError("labels need no teacher")

    student(sharp).learn(signal, recipe(Term(use="labels"), steps=1), LearnSession(teachers=[Unopened(sharp)]))


# -- another tokenizer ----------------------------------------------------------------------------------------


def test_reading_gives_the_text_and_each_tokens_characters(tiny_lm: Path) -> None:
    tokenizer = HFCausal.tokenizer_of(tiny_lm)
    for text in ("the cat sat on the mat", "naïve café – 日本", ""):
        tokens = tokenizer(text, add_special_tokens=False)["input_ids"]
        found, offsets = read(tokenizer, tokens)
        assert found == text
        assert len(offsets) == len(tokens)
        assert "".join(text[start:end] for start, end in offsets) == text


@pytest.fixture(scope="module")
def texts(tiny_lm: Path) -> TokenSignal:
    """Real words, so that tokens have texts."""
    tokenizer = HFCausal.tokenizer_of(tiny_lm)
    ids = tokenizer("the cat sat on the mat and the dog ran to the house and back again " * 30)["input_ids"]
    rows = torch.tensor(ids[: 12 * 17]).view(12, 17).int()
    return TokenSignal(TokenRows(rows[:10]), HeldOut(TokenRows(rows[10:])), None, "d")


def test_a_teacher_with_the_same_tokens_is_heard_everywhere(tiny_lm: Path, texts: TokenSignal) -> None:
    teacher = HFCausal.open(tiny_lm, CPU)
    heard = Foreigner(teacher.module, teacher.tokenizer, teacher.tokenizer).hear(texts.train.take(slice(0, 2)))
    assert heard is not None
    assert len(heard.positions) >= 24  # of 32; where the text of a cut row is tokenised otherwise, it is left out
    with torch.inference_mode():
        plain = teacher.module(texts.train.ids[:2, :-1].long(), use_cache=False).logits.flatten(0, 1)
    same = heard.logits(slice(0, len(heard.positions)))
    close = torch.isclose(same, plain[heard.positions], atol=1e-3).all(-1).float().mean()
    assert float(close) > 0.7


def test_a_student_learns_from_a_teacher_with_other_tokens(tiny_lm: Path, texts: TokenSignal, tmp_path: Path) -> None:
    teacher = save_tiny_lm(tmp_path / "foreign", seed=9)
    model = student(tiny_lm)
    terms = (Term(use="uld", weight=1.5), Term(use="labels"))
    report = model.learn(texts, recipe(*terms, steps=12, batch_size=5), LearnSession(teachers=[Handle(teacher)]))
    assert report.loss[-1][1] < report.loss[0][1]
    assert report.heldout_after is None  # there is no KL between vocabularies
    mixed = (Term(use="uld"), Term(use="forward-kl"))
    with pytest.raises(UsageError, match="labels are all that goes with it"):
        model.learn(texts, recipe(*mixed, steps=1), LearnSession(teachers=[Handle(teacher)]))


def test_the_chunked_objective_is_the_whole_one(sharp: Path, signal: TokenSignal) -> None:
    """The pupil with a head it can take apart, and the same pupil made to see all logits at once."""
    batch: dict[str, Any] = {"ids": signal.train.ids[:4]}
    terms = [Term(use="forward-kl", weight=0.7, temperature=2.0), Term(use="labels", weight=0.3)]
    values, gradients = [], []
    for taken_apart in (True, False):
        model = student(sharp)
        tutors = Tutors([HFCausal.open(sharp, CPU).module], ())
        pupil = Pupil(model.module, losses_of(terms), tutors, 2.0)
        if not taken_apart:
            pupil.head, tutors.heads = None, [None]
        loss = pupil(batch, 48.0)
        loss.backward()
        values.append(float(loss.detach()))
        gradients.append([p.grad.clone() for p in model.module.parameters() if p.grad is not None])
    assert values[0] == pytest.approx(values[1], rel=1e-5)
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def test_a_recipe_says_its_temperature() -> None:
    assert TrainingRecipe((Term(use="labels"),), Budget()).temperature == 1.0
    assert TrainingRecipe((Term(use="labels"), Term(use="jsd", temperature=3.0))).temperature == 3.0
