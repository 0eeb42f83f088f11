"""The loss against hand-computed values, and training that does what its numbers say."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from distbench.data.teacher_sampled import TeacherSampledOptions, sample
from distbench.errors import RunError
from distbench.models.hf_causal import HFCausal
from distbench.models.hf_trainer import heldout_kl, soft_label_loss
from distbench.protocols import TrainingRecipe
from tests.conftest import CPU


def quiet(*_: object) -> None:
    """Hear no progress."""


def test_loss_with_every_candidate_is_the_plain_kl() -> None:
    torch.manual_seed(0)
    teacher, student = torch.randn(3, 7), torch.randn(3, 7)
    logp, top = torch.log_softmax(teacher, -1).topk(7, dim=-1)
    expected = torch.nn.functional.kl_div(
        torch.log_softmax(student, -1), torch.log_softmax(teacher, -1), reduction="sum", log_target=True
    )
    torch.testing.assert_close(soft_label_loss(student, top, logp, 1.0), expected)


def test_rest_bucket_by_hand() -> None:
    # teacher (0.5, 0.3, 0.2), one candidate kept; student uniform: 0.5 ln(0.5/(1/3)) + 0.5 ln(0.5/(2/3))
    top, logp = torch.tensor([[0]]), torch.tensor([[math.log(0.5)]])
    expected = 0.5 * math.log(1.5) + 0.5 * math.log(0.75)
    assert float(soft_label_loss(torch.zeros(1, 3), top, logp, 1.0)) == pytest.approx(expected, abs=1e-6)


def test_rest_bucket_is_a_lower_bound_of_the_full_kl() -> None:
    torch.manual_seed(1)
    teacher, student = torch.log_softmax(torch.randn(20, 50), -1), torch.randn(20, 50)
    full_logp, full_ids = teacher.topk(50, dim=-1)
    full = float(soft_label_loss(student, full_ids, full_logp, 1.0))
    for k in (1, 5, 20):
        logp, ids = teacher.topk(k, dim=-1)
        assert float(soft_label_loss(student, ids, logp, 1.0)) <= full + 1e-5


def test_temperature_changes_loss_and_gradient_and_is_scaled_by_its_square() -> None:
    torch.manual_seed(2)
    teacher = torch.randn(4, 9)
    grads = {}
    for t in (1.0, 3.0):
        student = torch.zeros(4, 9, requires_grad=True)
        logp, ids = torch.log_softmax(teacher / t, -1).topk(9, dim=-1)
        loss = soft_label_loss(student, ids, logp, t)
        (gradient,) = torch.autograd.grad(loss, student)
        # d/dz [T² KL(p_T ‖ q_T)] = T (q_T − p_T)
        torch.testing.assert_close(
            gradient, t * (torch.softmax(student / t, -1) - torch.softmax(teacher / t, -1)), atol=1e-5, rtol=1e-4
        )
        grads[t] = gradient
    assert not torch.allclose(grads[1.0], grads[3.0])


def test_loss_is_zero_exactly_at_the_teacher() -> None:
    logits = torch.randn(5, 30)
    logp, ids = torch.log_softmax(logits, -1).topk(8, dim=-1)
    assert float(soft_label_loss(logits, ids, logp, 1.0)) == pytest.approx(0.0, abs=1e-4)


@pytest.fixture(scope="module")
def signal(tiny_lm: Path) -> object:
    return sample(
        [HFCausal.open(tiny_lm, CPU)], TeacherSampledOptions(sequences=24, length=12, heldout=4), 1.0, 0, quiet
    )


def test_training_lowers_the_heldout_kl_and_is_reproducible(tiny_lm: Path, signal: object) -> None:
    def student() -> HFCausal:
        model = HFCausal.open(tiny_lm, CPU)
        model.keep_layers([0, 3])
        return model

    recipe = TrainingRecipe("soft", epochs=6, batch_size=8, learning_rate=1e-3)
    first, second = student(), student()
    report = first.learn(signal, recipe, quiet)
    second.learn(signal, recipe, quiet)
    assert report.heldout_after is not None
    assert report.heldout_before is not None
    assert report.heldout_after < report.heldout_before
    assert report.steps == 18
    assert report.units == 18 * 8 * 12
    assert report.heldout_n == 4 * 12
    assert all(torch.equal(a, b) for a, b in zip(first.module.parameters(), second.module.parameters(), strict=True))


def test_the_teacher_itself_has_no_heldout_kl(tiny_lm: Path, signal: object) -> None:
    assert heldout_kl(HFCausal.open(tiny_lm, CPU).module, signal) == pytest.approx(0.0, abs=1e-4)


def test_hard_labels_do_not_read_the_teachers_distribution(tiny_lm: Path, signal: object) -> None:
    import dataclasses

    blind = dataclasses.replace(signal, top_logp=torch.full_like(signal.top_logp, math.nan))  # type: ignore[attr-defined,type-var]
    model = HFCausal.open(tiny_lm, CPU)
    model.keep_layers([0, 3])
    report = model.learn(blind, TrainingRecipe("hard", epochs=1, batch_size=8), quiet)
    assert all(math.isfinite(loss) for _, loss in report.loss)


def test_a_diverging_run_stops_and_names_step_and_rate(tiny_lm: Path, signal: object) -> None:
    model = HFCausal.open(tiny_lm, CPU)
    with torch.no_grad():
        model.module.get_input_embeddings().weight.fill_(math.nan)
    with pytest.raises(RunError, match=r"diverged: loss nan at step 0, lr"):
        model.learn(signal, TrainingRecipe("soft", epochs=1), quiet)
