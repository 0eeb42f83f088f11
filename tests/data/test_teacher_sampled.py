"""Sampling from the teacher records the distribution that sampled: checked against a plain forward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distbench.data.teacher_sampled import TeacherSampled, TeacherSampledOptions, _draw, sample
from distbench.errors import UsageError
from distbench.models.hf_causal import HFCausal
from distbench.protocols import SignalRequest
from tests.conftest import CPU

OPTIONS = TeacherSampledOptions(sequences=70, length=6, heldout=3)


class Handle:
    def __init__(self, path: Path) -> None:
        self.identity, self.path, self.opened = str(path), path, 0

    def tokenizer(self) -> object:
        return HFCausal.tokenizer_of(self.path)

    def open(self) -> HFCausal:
        self.opened += 1
        return HFCausal.open(self.path, CPU)


def test_recorded_distributions_are_the_teachers(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    signal = sample([model], OPTIONS, SignalRequest([]))
    assert signal.train.ids.shape == (70, 7)
    assert signal.heldout.rows.ids.shape == (3, 7)
    with torch.inference_mode():
        logp = torch.log_softmax(model.module(signal.train.ids[:, :-1].long()).logits, dim=-1)
        held = torch.log_softmax(model.module(signal.heldout.rows.ids[:, :-1].long()).logits, dim=-1)
    recorded = logp.gather(-1, signal.recorded.ids.long())
    torch.testing.assert_close(signal.recorded.logp.float(), recorded, atol=5e-3, rtol=0)
    torch.testing.assert_close(signal.heldout.logp.float(), held.flatten(0, 1), atol=5e-3, rtol=0)
    assert bool((recorded[..., 0] >= recorded[..., -1]).all())


def test_temperature_softens_what_is_taught_not_what_is_written(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    sharp, soft = (sample([model], OPTIONS, SignalRequest([], temperature=t)) for t in (1.0, 4.0))
    assert torch.equal(sharp.train.ids, soft.train.ids)
    assert float(soft.recorded.logp[..., 0].float().mean()) < float(sharp.recorded.logp[..., 0].float().mean())


def test_an_ensemble_is_the_mean_distribution(tiny_lm: Path, other_lm: Path) -> None:
    models = [HFCausal.open(path, CPU) for path in (tiny_lm, other_lm)]
    signal = sample(models, OPTIONS, SignalRequest([]))
    ids = signal.train.ids[:, :-1].long()
    with torch.inference_mode():
        mean = torch.stack([torch.softmax(m.module(ids).logits, dim=-1) for m in models]).mean(0)
    torch.testing.assert_close(
        signal.recorded.logp.float(), mean.log().gather(-1, signal.recorded.ids.long()), atol=5e-3, rtol=0
    )


def test_the_second_student_finds_the_signal_and_loads_no_teacher(tiny_lm: Path) -> None:
    source = TeacherSampled(TeacherSampledOptions(sequences=5, length=4, heldout=2))
    first, second = Handle(tiny_lm), Handle(tiny_lm)
    one = source.signal(SignalRequest([first], seed=7))
    two = source.signal(SignalRequest([second], seed=7))
    assert (first.opened, second.opened) == (1, 0)
    assert (one.from_cache, two.from_cache) == (False, True)
    assert torch.equal(one.train.ids, two.train.ids)


def test_the_cache_key_knows_teacher_options_temperature_and_seed() -> None:
    source = TeacherSampled(OPTIONS)
    one, two = Handle(Path("a")), Handle(Path("b"))
    keys = {
        source.key(SignalRequest([one])),
        source.key(SignalRequest([two])),
        source.key(SignalRequest([one, two])),
        source.key(SignalRequest([one, two], weights=(0.2, 0.8))),
        source.key(SignalRequest([one], temperature=2.0)),
        source.key(SignalRequest([one], seed=1)),
        TeacherSampled(TeacherSampledOptions(sequences=71, length=6, heldout=3)).key(SignalRequest([one])),
    }
    assert len(keys) == 7


def test_without_a_teacher_there_is_nothing_to_sample() -> None:
    with pytest.raises(UsageError, match="needs a teacher"):
        TeacherSampled(OPTIONS).signal(SignalRequest([]))


def test_draws_follow_the_distribution_and_never_take_the_impossible() -> None:
    p = torch.tensor([0.0, 0.5, 0.2, 0.3, 0.0])
    drawn = _draw(p.log().expand(20_000, 5), torch.Generator().manual_seed(0)).flatten()
    shares = torch.bincount(drawn, minlength=5) / 20_000
    torch.testing.assert_close(shares, p, atol=0.015, rtol=0)  # four standard errors
    assert float(shares[0]) == float(shares[4]) == 0.0
