"""Cross-entropy on labels and squared differences of logits."""

from __future__ import annotations

import math

import pytest
import torch
from made_losses import Q, forms, logits_like, loss_of, random_target

from distbench.errors import UsageError
from distbench.losses.positions import Positions
from distbench.losses.target import IGNORED, Full, Target

Z, V = torch.tensor([[1.0, 2.0, 4.0]]), torch.tensor([[0.0, 3.0, 2.0]])
NO_LABEL = torch.tensor([0])


def test_labels_are_surprisals() -> None:
    logits = torch.cat([logits_like(Q, 4.0), logits_like(Q), logits_like(Q)])
    target = Target(torch.tensor([0, 1, IGNORED]))
    expected = -math.log(0.2) - math.log(0.5)
    into = torch.zeros_like(logits)
    assert float(loss_of("labels")(logits, target)) == pytest.approx(expected)
    assert float(loss_of("labels").accumulate(Positions(logits, target), 2.0, into)) == pytest.approx(expected)
    assert into.tolist() == [
        pytest.approx([2 * (0.2 - 1), 2 * 0.5, 2 * 0.3]),
        pytest.approx([2 * 0.2, 2 * (0.5 - 1), 2 * 0.3]),
        [0.0, 0.0, 0.0],
    ]


def test_the_gradient_of_labels_is_the_traced_one() -> None:
    logits, target = random_target(6, 20, seed=1)
    leaf = logits.clone().requires_grad_()
    loss_of("labels")(leaf, target).backward()
    into = torch.zeros_like(logits)
    loss_of("labels").accumulate(Positions(logits, target), 1.0, into)
    torch.testing.assert_close(into, leaf.grad, rtol=1e-12, atol=1e-14)


def test_extreme_logits_have_a_finite_surprisal() -> None:
    logits, target = torch.tensor([[1e4, -1e4, 0.0]]), Target(torch.tensor([1]))
    into = torch.zeros_like(logits)
    assert float(loss_of("labels").accumulate(Positions(logits, target), 1.0, into)) == 2e4
    assert into.tolist() == [[1.0, -1.0, 0.0]]


def test_logits_are_compared_raw_or_centred() -> None:
    target = Target(NO_LABEL, Full([V]))
    assert float(loss_of("logit-mse")(Z, target)) == pytest.approx(2.0)  # (1 + 1 + 4) / 3
    centred = loss_of("logit-mse", centre=True)
    assert float(centred(Z, target)) == pytest.approx(14 / 9)  # gaps ⅓, −5/3, 4/3
    assert float(centred(Z + 9.0, target)) == pytest.approx(14 / 9)
    assert float(loss_of("logit-mse")(V, target)) == 0.0


def test_gradients_of_logits() -> None:
    for centre, expected in ((False, [2 / 3, -2 / 3, 4 / 3]), (True, [2 / 9, -10 / 9, 8 / 9])):
        leaf = Z.clone().requires_grad_()
        loss_of("logit-mse", centre=centre)(leaf, Target(NO_LABEL, Full([V]))).backward()
        assert leaf.grad[0].tolist() == pytest.approx(expected)


def test_what_the_teacher_rules_out_is_not_compared() -> None:
    masked = torch.tensor([[0.0, 3.0, 2.0, -math.inf]])
    student = torch.tensor([[1.0, 2.0, 4.0, 1e4]]).requires_grad_()
    for centre, expected in ((False, 2.0), (True, 14 / 9)):
        value = loss_of("logit-mse", centre=centre)(student, Target(NO_LABEL, Full([masked])))
        (gradient,) = torch.autograd.grad(value, student)
        assert value.item() == pytest.approx(expected)
        assert gradient[0, 3] == 0.0
        assert bool(torch.isfinite(gradient).all())


def test_logits_that_are_not_known_are_asked_for() -> None:
    logits, target = random_target(2, 5, seed=2)
    known = forms(target.teacher.logits[0], 1.0, 3)
    for form in ("softened", "top-k"):
        with pytest.raises(UsageError, match="ask it online"):
            loss_of("logit-mse")(logits, Target(target.labels, known[form]))
    two = Target(target.labels, Full([logits, logits], (0.5, 0.5)))
    with pytest.raises(UsageError, match="not with a mixture of 2"):
        loss_of("logit-mse")(logits, two)
