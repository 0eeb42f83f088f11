"""Sampling from the teacher records the distribution that sampled: checked against a plain forward pass."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from distbench.data.teacher_sampled import TeacherSampled, TeacherSampledOptions, _draw, sample
from distbench.errors import UsageError
from distbench.models.hf_causal import HFCausal
from tests.conftest import CPU

OPTIONS = TeacherSampledOptions(sequences=70, length=6, heldout=3)


def quiet(*_: object) -> None:
    """Hear no progress."""


class Handle:
    def __init__(self, path: Path) -> None:
        self.identity, self.path, self.opened = str(path), path, 0

    def open(self) -> HFCausal:
        self.opened += 1
        return HFCausal.open(self.path, CPU)


def test_recorded_distributions_are_the_teachers(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    signal = sample([model], OPTIONS, 1.0, 0, quiet)
    assert signal.ids.shape == (70, 7)
    assert signal.heldout_ids.shape == (3, 7)
    with torch.inference_mode():
        logp = torch.log_softmax(model.module(signal.ids[:, :-1].long()).logits, dim=-1)
        held = torch.log_softmax(model.module(signal.heldout_ids[:, :-1].long()).logits, dim=-1)
    recorded = logp.gather(-1, signal.top_ids.long())
    torch.testing.assert_close(signal.top_logp.float(), recorded, atol=5e-3, rtol=0)
    torch.testing.assert_close(signal.heldout_logp.float(), held, atol=5e-3, rtol=0)
    assert bool((recorded[..., 0] >= recorded[..., -1]).all())


def test_temperature_softens_what_is_taught_not_what_is_written(tiny_lm: Path) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    sharp, soft = (sample([model], OPTIONS, t, 0, quiet) for t in (1.0, 4.0))
    assert torch.equal(sharp.ids, soft.ids)
    assert float(soft.top_logp[..., 0].float().mean()) < float(sharp.top_logp[..., 0].float().mean())


def test_an_ensemble_is_the_mean_distribution(tiny_lm: Path, other_lm: Path) -> None:
    models = [HFCausal.open(path, CPU) for path in (tiny_lm, other_lm)]
    signal = sample(models, OPTIONS, 1.0, 0, quiet)
    ids = signal.ids[:, :-1].long()
    with torch.inference_mode():
        mean = torch.stack([torch.softmax(m.module(ids).logits, dim=-1) for m in models]).mean(0)
    torch.testing.assert_close(signal.top_logp.float(), mean.log().gather(-1, signal.top_ids.long()), atol=5e-3, rtol=0)


def test_the_second_student_finds_the_signal_and_loads_no_teacher(tiny_lm: Path) -> None:
    source = TeacherSampled(TeacherSampledOptions(sequences=5, length=4, heldout=2))
    first, second = Handle(tiny_lm), Handle(tiny_lm)
    one = source.signal([first], 1.0, 7, quiet)
    two = source.signal([second], 1.0, 7, quiet)
    assert (first.opened, second.opened) == (1, 0)
    assert (one.from_cache, two.from_cache) == (False, True)
    assert torch.equal(one.ids, two.ids)


def test_the_cache_key_knows_teacher_options_temperature_and_seed() -> None:
    source = TeacherSampled(OPTIONS)
    keys = {
        source.key(["a"], 1.0, 0),
        source.key(["b"], 1.0, 0),
        source.key(["a", "b"], 1.0, 0),
        source.key(["a"], 2.0, 0),
        source.key(["a"], 1.0, 1),
        TeacherSampled(TeacherSampledOptions(sequences=71, length=6, heldout=3)).key(["a"], 1.0, 0),
    }
    assert len(keys) == 6


def test_without_a_teacher_there_is_nothing_to_sample() -> None:
    with pytest.raises(UsageError, match="needs a teacher"):
        TeacherSampled(OPTIONS).signal([], 1.0, 0, quiet)


def test_draws_follow_the_distribution_and_never_take_the_impossible() -> None:
    p = torch.tensor([0.0, 0.5, 0.2, 0.3, 0.0])
    drawn = _draw(p.log().expand(20_000, 5), torch.Generator().manual_seed(0)).flatten()
    shares = torch.bincount(drawn, minlength=5) / 20_000
    torch.testing.assert_close(shares, p, atol=0.015, rtol=0)  # four standard errors
    assert float(shares[0]) == float(shares[4]) == 0.0
