"""Divergences against values worked out by hand, their gradients, and every form in which the teacher is known."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from made_losses import DIVERGENCES, P, Q, forms, logits_like, loss_of, random_target

from distbench.errors import UsageError
from distbench.losses.positions import Positions
from distbench.losses.target import Full, Softened, Target, TopK

LABEL = torch.tensor([0])
BY_HAND = [
    ("forward-kl", {}, 0.223804),
    ("reverse-kl", {}, 0.193795),
    ("jsd", {}, 0.050874),
    ("jsd", {"beta": 0.25}, 0.039717),  # ¼ KL(p ‖ m) + ¾ KL(q ‖ m), m = ¼ p + ¾ q
    ("jsd", {"beta": 0.0}, 0.223804),
    ("jsd", {"beta": 1.0}, 0.193795),
    ("skew-kl", {}, 0.172950),  # m = (.23, .48, .29)
    ("skew-kl", {"alpha": 0.0}, 0.223804),
    ("skew-reverse-kl", {}, 0.159263),  # m = (.47, .32, .21)
    ("skew-reverse-kl", {"alpha": 0.0}, 0.193795),
    ("total-variation", {}, 0.3),
]
VARIANTS = [
    *((use, {}) for use in DIVERGENCES),
    ("jsd", {"beta": 0.1}),
    ("jsd", {"beta": 1.0}),
    ("skew-kl", {"alpha": 0.6}),
]


def value_and_gradient(loss: Any, logits: torch.Tensor, target: Target) -> tuple[torch.Tensor, torch.Tensor]:
    leaf = logits.clone().requires_grad_()
    value = loss(leaf, target)
    (gradient,) = torch.autograd.grad(value, leaf)
    return value.detach(), gradient


def accumulated(loss: Any, logits: torch.Tensor, target: Target, weight: float = 1.0) -> tuple[Any, torch.Tensor]:
    into = torch.zeros_like(logits)
    return loss.accumulate(Positions(logits, target), weight, into), into


@pytest.mark.parametrize(("use", "options", "expected"), BY_HAND)
def test_worked_out_by_hand(use: str, options: dict[str, Any], expected: float) -> None:
    loss = loss_of(use, **options)
    target = Target(LABEL, Full([logits_like(P, 7.0)]))
    assert float(loss(logits_like(Q, -3.0), target)) == pytest.approx(expected, abs=1e-6)
    into = torch.zeros(1, 3, dtype=torch.float64)
    value = loss.accumulate(Positions(logits_like(Q), target), 5.0, into)
    assert float(value) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("forward-kl", [-0.3, 0.2, 0.1]),  # q − p
        ("reverse-kl", [q * (math.log(q / p) - 0.193795) for p, q in zip(P, Q, strict=True)]),
        ("total-variation", [0.5 * q * (s - 0.6) for q, s in zip(Q, [-1, 1, 1], strict=True)]),  # Σ q sign = .6
        (
            "skew-kl",
            [-0.9 * (p * q / m) + 0.9 * q * 0.954179 for p, q, m in zip(P, Q, [0.23, 0.48, 0.29], strict=True)],
        ),
    ],
)
def test_gradients_worked_out_by_hand(use: str, expected: list[float]) -> None:
    target = Target(LABEL, Full([logits_like(P)]))
    for _, gradient in (f(loss_of(use), logits_like(Q), target) for f in (value_and_gradient, accumulated)):
        assert gradient[0].tolist() == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("form", ["full", "softened", "top-k"])
@pytest.mark.parametrize(("use", "options"), VARIANTS)
def test_gradients_are_those_of_finite_differences(use: str, options: dict[str, Any], form: str) -> None:
    logits, target = random_target(3, 11, seed=1)
    loss = loss_of(use, temperature=1.5, **options)
    known = Target(target.labels, forms(target.teacher.logits[0], 1.5, 4)[form])
    assert torch.autograd.gradcheck(lambda z: loss(z, known), logits.requires_grad_())


@pytest.mark.parametrize("form", ["full", "softened", "top-k"])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
@pytest.mark.parametrize(("use", "options"), VARIANTS)
def test_the_closed_form_is_the_traced_gradient(
    use: str, options: dict[str, Any], temperature: float, form: str
) -> None:
    logits, target = random_target(6, 40, seed=2)
    loss = loss_of(use, temperature=temperature, **options)
    known = Target(target.labels, forms(target.teacher.logits[0], temperature, 7)[form])
    value, gradient = value_and_gradient(loss, logits, known)
    own_value, own = accumulated(loss, logits, known, weight=0.25)
    torch.testing.assert_close(own_value, value, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(own, 0.25 * gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("use", DIVERGENCES)
def test_nothing_is_lost_where_the_teacher_is_met(use: str) -> None:
    logits, target = random_target(5, 30, seed=3)
    for known in forms(logits + 2.0, 2.0, 6).values():
        value, gradient = value_and_gradient(loss_of(use, temperature=2.0), logits, Target(target.labels, known))
        assert float(value) == pytest.approx(0.0, abs=1e-12)
        if use != "total-variation":  # it has a kink there, and rounding decides on which side
            assert float(gradient.abs().max()) < 1e-12
    assert float(loss_of(use, temperature=2.0)(logits + torch.randn_like(logits), target)) > 0.01


@pytest.mark.parametrize("use", DIVERGENCES)
def test_temperature_softens_both_and_is_squared(use: str) -> None:
    logits, target = random_target(5, 30, seed=4)
    (warm, warm_gradient), (cold, cold_gradient) = (
        value_and_gradient(loss_of(use, temperature=t), logits, target) for t in (3.0, 1.0)
    )
    assert float((warm - cold).abs() / cold) > 0.05
    assert float((warm_gradient - cold_gradient).norm() / cold_gradient.norm()) > 0.05
    softened = Target(target.labels, Full([target.teacher.logits[0] / 3.0]))
    assert float(warm) == pytest.approx(9.0 * float(loss_of(use)(logits / 3.0, softened)), rel=1e-12)


def test_at_a_high_temperature_the_kl_compares_centred_logits() -> None:
    logits, target = random_target(5, 30, seed=5)
    limit = 0.5 * float(loss_of("logit-mse", centre=True)(logits, target))
    assert float(loss_of("forward-kl", temperature=100.0)(logits, target)) == pytest.approx(limit, rel=0.1)
    assert float(loss_of("forward-kl", temperature=1.0)(logits, target)) != pytest.approx(limit, rel=0.1)


@pytest.mark.parametrize("use", DIVERGENCES)
def test_all_tokens_are_the_same_in_every_form(use: str) -> None:
    logits, target = random_target(5, 30, seed=6)
    values = {
        name: value_and_gradient(loss_of(use, temperature=2.0), logits, Target(target.labels, known))
        for name, known in forms(target.teacher.logits[0], 2.0, 30).items()
    }
    for value, gradient in values.values():
        torch.testing.assert_close(value, values["full"][0], rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(gradient, values["full"][1], rtol=1e-10, atol=1e-12)


@given(
    seed=st.integers(0, 10_000), k=st.integers(1, 15), use=st.sampled_from(DIVERGENCES), t=st.sampled_from([0.5, 1, 3])
)
def test_the_likeliest_tokens_and_the_rest_give_a_lower_bound(seed: int, k: int, use: str, t: float) -> None:
    logits, target = random_target(4, 16, seed)
    loss = loss_of(use, temperature=t)
    known = forms(target.teacher.logits[0], t, k)
    value, whole = (float(loss(logits, Target(target.labels, known[form]))) for form in ("top-k", "full"))
    assert -1e-12 <= value <= whole * (1 + 1e-9) + 1e-12


@pytest.mark.parametrize("use", DIVERGENCES)
def test_the_rest_is_one_bucket(use: str) -> None:
    p, q = [0.5, 0.25, 0.15, 0.1], [0.2, 0.5, 0.2, 0.1]
    known = TopK(torch.tensor([[0, 1]]), torch.tensor([[0.5, 0.25]], dtype=torch.float64).log(), 1.0)
    merged = Full([logits_like([0.5, 0.25, 0.25])])
    value = loss_of(use)(logits_like(q), Target(LABEL, known))
    expected = loss_of(use)(logits_like([0.2, 0.5, 0.3]), Target(LABEL, merged))
    assert float(value) == pytest.approx(float(expected), abs=1e-12)
    assert float(value) < float(loss_of(use)(logits_like(q), Target(LABEL, Full([logits_like(p)])))) + 1e-12


def test_teachers_are_mixed_as_probabilities() -> None:
    one, other = logits_like(P, 3.0), logits_like(Q, -1.0)
    mean = [0.25 * p + 0.75 * q for p, q in zip(P, Q, strict=True)]
    mixed = Target(LABEL, Full([one, other], (0.25, 0.75)))
    student = logits_like([0.6, 0.2, 0.2])
    expected = loss_of("forward-kl")(student, Target(LABEL, Full([logits_like(mean)])))
    assert float(loss_of("forward-kl")(student, mixed)) == pytest.approx(float(expected), abs=1e-12)


@pytest.mark.parametrize("temperature", [0.05, 1.0, 20.0])
@pytest.mark.parametrize(("use", "options"), VARIANTS)
def test_extreme_logits_stay_finite(use: str, options: dict[str, Any], temperature: float) -> None:
    loss = loss_of(use, temperature=temperature, **options)
    sure = torch.tensor([[1e4, -1e4, 0.0, 0.0, -1e4], [-1e4, 1e4, 1e4, -1e4, 0.0]])
    ruled_out = torch.tensor([[-math.inf, 1e4, 2.0, -math.inf, 0.0], [0.0, 0.0, -math.inf, -math.inf, -math.inf]])
    for student, teacher in ((sure, sure.flip(0)), (sure, ruled_out), (sure.flip(1), ruled_out), (sure, sure)):
        for form, known in forms(teacher, temperature, 2).items():
            target = Target(torch.tensor([1, 0]), known)
            for value, gradient in (f(loss, student, target) for f in (value_and_gradient, accumulated)):
                assert bool(torch.isfinite(value)), (form, value)
                assert bool(torch.isfinite(gradient).all()), (form, gradient)


def test_a_student_that_is_too_sure_is_still_told_of_the_rest() -> None:
    """1 − Σ q would round to 0 here, and the gradient with it."""
    student = torch.tensor([[60.0, 0.0, 0.0, 0.0]])
    known = TopK(torch.tensor([[0]]), torch.tensor([[0.5]]).log(), 1.0)
    value, gradient = value_and_gradient(loss_of("forward-kl"), student, Target(LABEL, known))
    own_value, own = accumulated(loss_of("forward-kl"), student, Target(LABEL, known))
    rest = 60.0 - math.log(3.0)  # of the student, −log
    assert float(value) == pytest.approx(math.log(0.5) + 0.5 * rest, rel=1e-5)
    assert float(own_value) == pytest.approx(float(value), rel=1e-6)
    for each in (gradient, own):
        assert each[0].tolist() == pytest.approx([0.5, -1 / 6, -1 / 6, -1 / 6], abs=1e-6)


def test_a_temperature_that_was_not_recorded_is_refused() -> None:
    logits, target = random_target(2, 5, seed=7)
    known = forms(target.teacher.logits[0], 2.0, 3)
    for each in (known["softened"], known["top-k"]):
        with pytest.raises(UsageError, match="recorded at temperature 2, and the loss asks for 1"):
            loss_of("forward-kl")(logits, Target(target.labels, each))


def test_half_precision_is_compared_in_float32() -> None:
    logits, target = random_target(4, 50, seed=8, dtype=torch.float32)
    teacher = Softened(torch.log_softmax(target.teacher.logits[0], -1).half(), 1.0)
    value = loss_of("forward-kl")(logits.bfloat16(), Target(target.labels, teacher))
    assert value.dtype == torch.float32
    exact = loss_of("forward-kl")(
        logits.bfloat16().double(), Target(target.labels, Softened(teacher.logp.double(), 1.0))
    )
    assert float(value) == pytest.approx(float(exact), rel=1e-5)


@pytest.mark.parametrize(
    ("use", "options"),
    [
        ("jsd", {"beta": 1.5}),
        ("jsd", {"beta": -0.1}),
        ("skew-kl", {"alpha": 1.0}),
        ("forward-kl", {"temperature": 0}),
        ("forward-kl", {"alpha": 0.5}),
        ("logit-mse", {"temperature": 2.0}),
    ],
)
def test_options_out_of_range_are_refused(use: str, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=f"loss '{use}'"):
        loss_of(use, **options)
