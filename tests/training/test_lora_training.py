"""A training with adapters: only its targets change, it resumes exactly, and its result is a plain model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from distbench.data.teacher_sampled import TeacherSampledOptions, sample
from distbench.data.token_signal import TokenSignal
from distbench.models.hf_causal import HFCausal
from distbench.protocols import LearnSession, SignalRequest, TrainingRecipe
from distbench.schema.training import Budget, Lora, Term
from tests.conftest import CPU

BUDGET: dict[str, Any] = {"batch_size": 4, "steps": 6, "learning_rate": 5e-2, "look_every": 2, "checkpoint_every": 2}


@pytest.fixture(autouse=True)
def installed() -> None:
    pytest.importorskip("peft", reason="the extra 'lora' is not installed")


@pytest.fixture(scope="module")
def signal(sure_lm: Path) -> TokenSignal:
    options = TeacherSampledOptions(sequences=16, length=12, heldout=4)
    return sample([HFCausal.open(sure_lm, CPU)], options, SignalRequest([]))


def recipe(lora: Lora, **budget: Any) -> TrainingRecipe:
    terms = (Term(use="forward-kl", temperature=1.0),)
    return TrainingRecipe(terms, Budget(**{**BUDGET, **budget, "lora": lora}), seed=5)


def weights(model: HFCausal) -> dict[str, torch.Tensor]:
    return {name: parameter.detach().clone() for name, parameter in model.module.named_parameters()}


def test_only_the_targets_change_and_the_result_is_plain(sure_lm: Path, signal: TokenSignal, tmp_path: Path) -> None:
    model = HFCausal.open(sure_lm, CPU)
    model.keep_layers([1])
    before = weights(model)
    report = model.learn(signal, recipe(Lora(rank=2, targets=["q_proj", "up_proj"])), LearnSession())
    after = weights(model)
    changed = {name.split(".")[-2] for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert changed == {"q_proj", "up_proj"}
    assert report.heldout_before is not None
    assert report.heldout_after is not None
    assert report.heldout_after < report.heldout_before
    parts = 2 * (32 + 32) + 2 * (32 + 64)
    facts = {"rank": 2, "alpha": 16.0, "dropout": 0.0, "layers": 2, "trained_parameters": parts}
    assert report.options["lora"] == facts
    model.save(tmp_path)
    assert torch.equal(
        HFCausal.open(tmp_path, CPU).module(torch.tensor([[0, 5, 17]])).logits,
        model.module(torch.tensor([[0, 5, 17]])).logits,
    )


class Killed(Exception):
    """Stands for SIGKILL: nothing is cleaned up after it."""


def test_a_killed_training_ends_with_the_same_weights(sure_lm: Path, signal: TokenSignal, tmp_path: Path) -> None:
    def kill(done: int, total: int, what: str) -> None:
        if done == 5:
            raise Killed

    whole, cut, again = (HFCausal.open(sure_lm, CPU) for _ in range(3))
    whole.learn(signal, recipe(Lora(dropout=0.1)), LearnSession())
    with pytest.raises(Killed):
        cut.learn(signal, recipe(Lora(dropout=0.1)), LearnSession(kill, scratch=tmp_path))
    report = again.learn(signal, recipe(Lora(dropout=0.1)), dataclasses.replace(LearnSession(), scratch=tmp_path))
    assert report.resumed_from == 4
    for name, parameter in weights(whole).items():
        assert torch.equal(parameter, weights(again)[name])
