"""The chunked sum is the plain one, in value and in every gradient, and never holds all logits."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from made_losses import DIVERGENCES, forms, loss_of
from torch.utils._python_dispatch import TorchDispatchMode

from distbench.losses import chunked
from distbench.losses.chunked import chunked_sum
from distbench.losses.target import Full, Softened, Target, TopK

N, D, V, CHUNK = 37, 12, 60, 16
MIXES = {
    **{use: [(0.7, use, {"temperature": 2.0})] for use in DIVERGENCES},
    "jsd 1": [(1.0, "jsd", {"beta": 1.0, "temperature": 2.0})],
    "labels": [(1.0, "labels", {})],
    "logit-mse": [(2.0, "logit-mse", {})],
    "Hinton": [(0.6, "forward-kl", {"temperature": 2.0}), (0.4, "labels", {})],
    "four": [
        (0.5, "forward-kl", {"temperature": 2.0}),
        (0.3, "labels", {}),
        (0.1, "reverse-kl", {"temperature": 2.0}),
        (0.1, "total-variation", {"temperature": 2.0}),
    ],
}
Leaves = list[torch.Tensor]


class Traced:
    """A loss that knows no gradient of its own, as another package's may be."""

    def __call__(self, logits: Any, target: Target) -> Any:
        return torch.logsumexp(logits, -1).square().sum()


def leaves(dtype: torch.dtype, *, bias: bool = True, seed: int = 0) -> Leaves:
    generator = torch.Generator().manual_seed(seed)
    shapes = [(N, D), (V, D), (V,)] if bias else [(N, D), (V, D)]
    return [torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_() for shape in shapes]


def known(dtype: torch.dtype, form: str) -> Target:
    generator = torch.Generator().manual_seed(5)
    teacher = 3.0 * torch.randn(N, V, generator=generator, dtype=dtype)
    return Target(torch.randint(V, (N,), generator=generator), forms(teacher, 2.0, 8)[form])


def losses_of(mix: str) -> list[tuple[float, Any]]:
    return [(weight, loss_of(use, **options)) for weight, use, options in MIXES[mix]]


def plain_sum(given: Leaves, target: Target, losses: list[tuple[float, Any]]) -> torch.Tensor:
    logits = torch.nn.functional.linear(*given)
    return sum(weight * loss(logits, target) for weight, loss in losses)  # type: ignore[return-value]


def in_chunks(given: Leaves, target: Target, losses: list[tuple[float, Any]]) -> torch.Tensor:
    hidden, weight, *bias = given
    return chunked_sum(hidden, weight, bias[0] if bias else None, target.rows, losses, chunk=CHUNK)


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).norm() / expected.norm())


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-13)])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize(
    ("mix", "form"),
    [(mix, form) for mix in MIXES for form in ("full", "softened", "top-k") if mix != "logit-mse" or form == "full"],
)
def test_equals_the_plain_sum(
    mix: str, form: str, bias: bool, dtype: torch.dtype, tolerance: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunked, "TILE", 5 * V)  # chunks of 16, 16 and 5 rows, seen 5 at a time
    given, target, losses = leaves(dtype, bias=bias), known(dtype, form), losses_of(mix)
    expected = plain_sum(given, target, losses)
    found = in_chunks(given, target, losses)
    assert found.dtype == dtype
    assert relative(found.detach(), expected.detach()) <= tolerance
    gradients = torch.autograd.grad(3.0 * found, given)
    for ours, theirs in zip(gradients, torch.autograd.grad(3.0 * expected, given), strict=True):
        assert ours.dtype == dtype
        assert relative(ours, theirs) <= tolerance


def test_a_loss_without_a_gradient_of_its_own_is_traced() -> None:
    given, target = leaves(torch.float64), known(torch.float64, "full")
    losses = [(0.5, Traced()), (0.5, loss_of("labels"))]
    expected, found = plain_sum(given, target, losses), in_chunks(given, target, losses)
    torch.testing.assert_close(found, expected)
    for ours, theirs in zip(torch.autograd.grad(found, given), torch.autograd.grad(expected, given), strict=True):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("frozen", [{0}, {1}, {2}, {1, 2}, {0, 1}])
def test_what_is_frozen_gets_no_gradient(frozen: set[int]) -> None:
    given, target, losses = leaves(torch.float64), known(torch.float64, "top-k"), losses_of("Hinton")
    for index in frozen:
        given[index].requires_grad_(False)
    asked = [each for each in given if each.requires_grad]
    expected = torch.autograd.grad(plain_sum(given, target, losses), asked)
    in_chunks(given, target, losses).backward()
    for each, theirs in zip(asked, expected, strict=True):
        torch.testing.assert_close(each.grad, theirs)
    assert all(given[index].grad is None for index in frozen)


def test_gradients_flow_on_and_add_up() -> None:
    """Two batches before a step, a head that is also the embedding, and layers before it."""
    weight = torch.randn(V, D, dtype=torch.float64).requires_grad_()
    layer = torch.nn.Linear(D, D).double()
    ids, target, losses = torch.randint(V, (N,)), known(torch.float64, "full"), losses_of("forward-kl")
    found: list[list[torch.Tensor]] = []
    for add in (plain_sum, in_chunks):
        for _ in range(2):
            (add([layer(weight[ids]).tanh(), weight], target, losses) / N).backward()
        found.append([weight.grad.clone(), layer.weight.grad.clone()])
        weight.grad = layer.weight.grad = None
    for ours, theirs in zip(*found, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_without_gradients_only_the_value_is_computed() -> None:
    given, target, losses = leaves(torch.float64), known(torch.float64, "top-k"), losses_of("four")
    with torch.no_grad():
        found = in_chunks(given, target, losses)
    assert not found.requires_grad
    torch.testing.assert_close(found, plain_sum(given, target, losses).detach())


def test_the_target_is_asked_for_once_and_in_order() -> None:
    given, target = leaves(torch.float64), known(torch.float64, "full")
    asked: list[tuple[int, int]] = []

    def target_of(rows: slice) -> Target:
        asked.append((rows.start, rows.stop))
        assert not torch.is_grad_enabled()
        return target.rows(rows)

    chunked_sum(*given, target_of, losses_of("four"), chunk=CHUNK).backward()
    assert asked == [(0, 16), (16, 32), (32, 37)]


def test_no_position_is_a_sum_of_nothing() -> None:
    hidden, weight = torch.zeros(0, D).requires_grad_(), torch.randn(V, D).requires_grad_()
    found = chunked_sum(hidden, weight, None, lambda rows: pytest.fail("nothing to ask"), losses_of("labels"))
    found.backward()
    assert float(found.detach()) == 0.0
    assert hidden.grad.shape == (0, D)
    assert float(weight.grad.abs().sum()) == 0.0


def test_a_second_backward_pass_is_refused() -> None:
    """The gradients were scaled in place: to scale them again would be wrong without a word."""
    found = in_chunks(leaves(torch.float64), known(torch.float64, "full"), losses_of("labels"))
    found.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="one backward pass"):
        found.backward()


class Largest(TorchDispatchMode):
    """Remembers the most elements that any new tensor had."""

    elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else (made,):
            if isinstance(each, torch.Tensor):
                self.elements = max(self.elements, each.numel())
        return made


@pytest.mark.parametrize("form", ["softened", "top-k"])
def test_all_logits_never_exist_at_once(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chunked, "HEAP", 1)  # a block that is never written to
    n, size, width, chunk = 200, 500, 4, 10
    hidden, weight = torch.randn(n, width).requires_grad_(), torch.randn(size, width).requires_grad_()

    def target_of(rows: slice) -> Target:
        logp = torch.log_softmax(torch.randn(rows.stop - rows.start, size), -1)
        best = logp.topk(8)
        teacher = Softened(logp, 1.0) if form == "softened" else TopK(best.indices, best.values, 1.0)
        return Target(torch.zeros(len(logp), dtype=torch.long), teacher)

    losses = [(0.5, loss_of("forward-kl")), (0.5, loss_of("labels")), (0.1, Traced())]
    with Largest() as seen:
        chunked_sum(hidden, weight, None, target_of, losses, chunk=chunk).backward()
    assert seen.elements == chunk * size
    with Largest() as plain:
        plain_sum([hidden, weight], target_of(slice(0, n)), losses)
    assert plain.elements == n * size  # or the check above could not fail


def test_a_large_vocabulary_is_summed_with_care() -> None:
    """Nearer to float64 than the plain loss in float32, whose softmax is not."""
    torch.manual_seed(0)
    hidden, weight, teacher = torch.randn(8, 32), 0.7 * torch.randn(49_152, 32), torch.randn(8, 32)
    losses = [(1.0, loss_of("forward-kl"))]
    found = {}
    for name, add, dtype in (
        ("exact", plain_sum, torch.float64),
        ("plain", plain_sum, torch.float32),
        ("ours", None, torch.float32),
    ):
        given = [each.detach().clone().to(dtype).requires_grad_() for each in (hidden, weight)]
        target = Target(torch.zeros(8, dtype=torch.long), Full([teacher.to(dtype) @ weight.to(dtype).t()]))
        value = add(given, target, losses) if add else chunked_sum(*given, None, target.rows, losses, chunk=4)
        found[name] = torch.autograd.grad(value, given)
    for ours, plain, exact in zip(found["ours"], found["plain"], found["exact"], strict=True):
        assert relative(ours.double(), exact) < 3e-6
        assert relative(ours.double(), exact) < relative(plain.double(), exact)


@pytest.mark.parametrize("mix", ["forward-kl", "Hinton", "reverse-kl", "logit-mse"])
def test_under_autocast_products_are_in_bfloat16_and_sums_in_float32(mix: str) -> None:
    given, target, losses = leaves(torch.float32), known(torch.float32, "full"), losses_of(mix)
    exact = torch.autograd.grad(plain_sum(given, target, losses), given)
    value = plain_sum(given, target, losses).detach()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        expected = torch.autograd.grad(plain_sum(given, target, losses), given)
        found = in_chunks(given, target, losses)
    assert found.dtype == torch.float32
    assert 0.0 < relative(found.detach(), value) < 0.02  # bfloat16 was used, and no more was lost than its 8 bits
    for ours, theirs, true in zip(torch.autograd.grad(found, given), expected, exact, strict=True):
        assert ours.dtype == torch.float32
        assert relative(ours, true) < max(0.02, 1.5 * relative(theirs, true))


def test_a_model_in_bfloat16_gets_gradients_in_bfloat16() -> None:
    exact, target, losses = leaves(torch.float32), known(torch.float32, "top-k"), losses_of("Hinton")
    given = [each.detach().bfloat16().requires_grad_() for each in exact]
    found = torch.autograd.grad(in_chunks(given, target, losses), given)
    assert [each.dtype for each in found] == [torch.bfloat16] * 3
    for ours, theirs in zip(found, torch.autograd.grad(plain_sum(exact, target, losses), exact), strict=True):
        assert relative(ours.float(), theirs) < 0.03


def test_a_mixture_of_teachers_in_chunks() -> None:
    given = leaves(torch.float64)
    teachers = [torch.randn(N, V, dtype=torch.float64, generator=torch.Generator().manual_seed(s)) for s in (1, 2)]
    target = Target(torch.zeros(N, dtype=torch.long), Full(teachers, (0.3, 0.7)))
    losses = losses_of("forward-kl")
    torch.testing.assert_close(in_chunks(given, target, losses), plain_sum(given, target, losses))
