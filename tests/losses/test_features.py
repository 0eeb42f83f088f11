"""Hidden states and attention maps: layers that are paired, distances worked out by hand, projectors that learn."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from made_losses import module_of

from distbench.errors import UsageError
from distbench.losses.features import Outputs, Shape

SAME = Shape(2, 3, 2)
ALL = torch.tensor([[True, True]])


def states(*layers: list[list[float]]) -> Outputs:
    """One row of tokens: hidden states [1, L, d] of the embeddings and each layer."""
    return Outputs(hidden=[torch.tensor([layer]) for layer in layers])


def maps(*layers: list[list[list[float]]]) -> Outputs:
    """One row of tokens: attention maps [1, heads, L, L] of each layer."""
    return Outputs(attentions=[torch.tensor([layer]) for layer in layers])


def test_layers_are_paired_at_the_same_depth() -> None:
    def pairs(student: int, teacher: int, layers: Any, use: str = "hidden") -> Any:
        return module_of(use, Shape(student, 3, 2), Shape(teacher, 3, 2), layers=layers).pairs

    assert pairs(3, 12, "uniform") == [(1, 4), (2, 8), (3, 12)]
    assert pairs(4, 4, "uniform") == [(1, 1), (2, 2), (3, 3), (4, 4)]
    assert pairs(2, 3, "uniform") == [(1, 2), (2, 3)]
    assert pairs(4, 2, "uniform") == [(1, 1), (2, 1), (3, 2), (4, 2)]
    assert pairs(3, 12, "last") == [(3, 12)]
    assert pairs(3, 12, [[0, 0], [2, 7]]) == [(0, 0), (2, 7)]
    assert pairs(3, 12, [[1, 12]], "attention") == [(1, 12)]


@pytest.mark.parametrize(
    ("use", "layers", "message"),
    [
        ("hidden", [[4, 1]], r"layer 4 of the student in \[4, 1\]; it has layers 0 to 3"),
        ("hidden", [[1, 1], [1, 13]], r"layer 13 of the teacher in \[1, 13\]; it has layers 0 to 12"),
        ("hidden", [[-1, 1]], "layer -1 of the student"),
        ("attention", [[0, 0]], "it has layers 1 to 3"),
    ],
)
def test_layers_that_are_not_there(use: str, layers: list[list[int]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        module_of(use, Shape(3, 3, 2), Shape(12, 3, 2), layers=layers)


@pytest.mark.parametrize("layers", [[[1]], [[1, 2, 3]], [], "first", [["1", "2"]]])
def test_layers_that_are_no_pairs(layers: Any) -> None:
    with pytest.raises(UsageError, match="loss 'hidden': layers"):
        module_of("hidden", SAME, SAME, layers=layers)


STUDENT = states([[9.0, 9, 9], [9, 9, 9]], [[1.0, 0, 0], [0, 2, 0]], [[1.0, 1, 0], [0, 0, 1]])
TEACHER = states([[5.0, 5, 5], [5, 5, 5]], [[2.0, 0, 0], [0, 0, 4]], [[1.0, 0, 0], [0, 0, -3]])


def test_cosines_by_hand() -> None:
    """Layer 1: angles of 0° and 90°; layer 2: of 45° and 180°."""
    found = module_of("hidden", SAME, SAME)(STUDENT, TEACHER, ALL)
    assert float(found) == pytest.approx((0 + 1 + (1 - math.sqrt(0.5)) + 2) / 4, abs=1e-6)
    first = module_of("hidden", SAME, SAME, layers=[[1, 1]])(STUDENT, TEACHER, torch.tensor([[False, True]]))
    assert float(first) == pytest.approx(1.0)


def test_squares_by_hand() -> None:
    """Layer 1: |(1,0,0) − (2,0,0)|² = 1 and |(0,2,0) − (0,0,4)|² = 20, over 3 channels and 2 positions."""
    raw = module_of("hidden", SAME, SAME, measure="mse", normalise=False, layers=[[1, 1]])
    assert float(raw(STUDENT, TEACHER, ALL)) == pytest.approx(21 / 6)
    of_teacher = (4 + 16) / 6  # mean square of its states
    scaled = module_of("hidden", SAME, SAME, measure="mse", layers=[[1, 1]])
    assert float(scaled(STUDENT, TEACHER, ALL)) == pytest.approx(21 / 6 / of_teacher)
    zeros = Outputs(hidden=[torch.zeros_like(each) for each in TEACHER.hidden])
    assert float(scaled(zeros, TEACHER, ALL)) == pytest.approx(1.0)


def test_gradients_of_squares_by_hand() -> None:
    hidden = [each.clone().requires_grad_() for each in STUDENT.hidden]
    module_of("hidden", SAME, SAME, measure="mse", normalise=False)(Outputs(hidden), TEACHER, ALL).backward()
    assert hidden[0].grad is None
    torch.testing.assert_close(hidden[1].grad[0], torch.tensor([[-2.0, 0, 0], [0, 4, -8]]) / 12)


@pytest.mark.parametrize("options", [{"measure": "cosine"}, {"measure": "mse"}, {"measure": "mse", "normalise": False}])
def test_gradients_of_hidden_states_are_those_of_finite_differences(options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = module_of("hidden", Shape(2, 3, 2), Shape(4, 5, 2), **options).double()
    teacher = Outputs([torch.randn(2, 4, 5, dtype=torch.float64) for _ in range(5)])
    student = [torch.randn(2, 4, 3, dtype=torch.float64).requires_grad_() for _ in range(2)]
    mask = torch.tensor([[True, False, True, True], [False, False, False, True]])
    assert torch.autograd.gradcheck(lambda *two: module(Outputs([two[0], *two]), teacher, mask), student)


def test_sizes_that_differ_without_a_projector() -> None:
    with pytest.raises(UsageError, match="layer 1 of the student has 3 channels and layer 2 of the teacher 5"):
        module_of("hidden", Shape(2, 3, 2), Shape(4, 5, 2), projector="none")
    assert module_of("hidden", SAME, SAME, projector="none").projectors is None
    assert module_of("hidden", SAME, SAME).projectors is None
    assert len(module_of("hidden", SAME, SAME, projector="linear").projectors) == 2
    assert [tuple(each.weight.shape) for each in module_of("hidden", SAME, Shape(4, 5, 2)).projectors] == [(5, 3)] * 2


@pytest.mark.parametrize("measure", ["cosine", "mse"])
def test_projectors_learn(measure: str) -> None:
    """The teacher's states are a linear map of the student's: only the projector can find it out."""
    torch.manual_seed(0)
    module = module_of("hidden", Shape(1, 4, 1), Shape(1, 6, 1), measure=measure)
    hidden = torch.randn(8, 5, 4)
    student, teacher = Outputs([hidden, hidden]), Outputs([torch.zeros(8, 5, 6), hidden @ torch.randn(4, 6)])
    mask = torch.ones(8, 5, dtype=torch.bool)
    optimiser = torch.optim.Adam(module.parameters(), lr=0.05)
    first = module(student, teacher, mask).item()
    for _ in range(300):
        optimiser.zero_grad()
        module(student, teacher, mask).backward()
        optimiser.step()
    assert module(student, teacher, mask).item() < 0.01 * first


def test_no_gradient_reaches_the_teacher() -> None:
    hidden = [each.clone().requires_grad_() for each in TEACHER.hidden]
    weights = torch.full((1, 2, 2, 2), 0.5).requires_grad_()
    ours = torch.full((1, 2, 2, 2), 0.5).requires_grad_()
    for use in ("hidden", "attention", "relation"):
        mask = ALL if use != "relation" else ALL.expand(3, 2)
        student = [each.clone().expand(len(mask), -1, -1).requires_grad_() for each in STUDENT.hidden]
        teacher = Outputs([each.expand(len(mask), -1, -1) for each in hidden], [weights, weights])
        module_of(use, SAME, SAME)(Outputs(student, [ours, ours]), teacher, mask).backward()
    assert all(each.grad is None for each in (*hidden, weights))


def test_half_precision_teachers_are_compared_in_float32() -> None:
    teacher = Outputs([each.bfloat16() for each in TEACHER.hidden])
    found = module_of("hidden", SAME, SAME)(STUDENT, teacher, ALL)
    assert found.dtype == torch.float32


SEEN = maps([[[1.0, 0.0], [0.5, 0.5]], [[1.0, 0.0], [0.2, 0.8]]])
SOUGHT = maps([[[1.0, 0.0], [0.25, 0.75]], [[1.0, 0.0], [0.2, 0.8]]])
ONE = Shape(1, 3, 2)


def test_attention_by_hand() -> None:
    """Of two heads and two queries, one differs: (½, ½) where the teacher has (¼, ¾)."""
    kl = 0.25 * math.log(0.5) + 0.75 * math.log(1.5)
    assert float(module_of("attention", ONE, ONE)(SEEN, SOUGHT, ALL)) == pytest.approx(kl / 4, abs=1e-6)
    mse = module_of("attention", ONE, ONE, measure="mse")
    assert float(mse(SEEN, SOUGHT, ALL)) == pytest.approx(0.125 / 4)
    assert float(mse(SEEN, SOUGHT, torch.tensor([[False, True]]))) == pytest.approx(0.125 / 2)
    assert float(mse(SOUGHT, SOUGHT, ALL)) == 0.0


def test_heads_that_differ_are_averaged_or_refused() -> None:
    single = maps([[[1.0, 0.0], [0.225, 0.775]]])  # the mean of the teacher's two heads
    fewer = Shape(1, 3, 1)
    assert float(module_of("attention", fewer, ONE)(single, SOUGHT, ALL)) == pytest.approx(0.0, abs=1e-7)
    means = module_of("attention", ONE, ONE, heads="mean", measure="mse")(SEEN, SOUGHT, ALL)
    assert float(means) == pytest.approx(2 * 0.125**2 / 2)  # means (.35, .65) and (.225, .775), of two queries
    with pytest.raises(UsageError, match="student have 1 heads and those of the teacher 2"):
        module_of("attention", fewer, ONE, heads="each")


@pytest.mark.parametrize("measure", ["kl", "mse"])
def test_gradients_of_attention_are_those_of_finite_differences(measure: str) -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 2, 3, 3, dtype=torch.float64).requires_grad_()
    teacher = Outputs(attentions=[torch.randn(2, 2, 3, 3, dtype=torch.float64).softmax(-1)])
    module, mask = module_of("attention", ONE, ONE, measure=measure), torch.tensor([[True, False, True]] * 2)
    assert torch.autograd.gradcheck(lambda z: module(Outputs(attentions=[z.softmax(-1)]), teacher, mask), logits)


def test_a_key_that_only_the_teacher_sees_costs_much_and_not_infinitely() -> None:
    blind = maps([[[1.0, 0.0], [0.0, 1.0]], [[1.0, 0.0], [0.2, 0.8]]])
    found = float(module_of("attention", ONE, ONE)(blind, SOUGHT, ALL))
    assert 1.0 < found < 100.0


def test_what_a_model_did_not_return_is_asked_for() -> None:
    with pytest.raises(UsageError, match="no hidden states"):
        module_of("hidden", SAME, SAME)(Outputs(), TEACHER, ALL)
    for without in (Outputs(), Outputs(attentions=[None])):
        with pytest.raises(UsageError, match="attention: eager"):
            module_of("attention", ONE, ONE)(SEEN, without, ALL)


@pytest.mark.parametrize("use", ["hidden", "attention"])
def test_where_nothing_counts_there_is_no_loss(use: str) -> None:
    student = Outputs([each.clone().requires_grad_() for each in STUDENT.hidden], SEEN.attentions)
    found = module_of(use, ONE, ONE)(student, Outputs(TEACHER.hidden, SOUGHT.attentions), ~ALL)
    assert float(found.detach()) == 0.0


def test_what_a_language_model_returns_is_what_is_read(tiny_lm: Path, other_lm: Path) -> None:
    from transformers import AutoModelForCausalLM

    models = [AutoModelForCausalLM.from_pretrained(each, attn_implementation="eager") for each in (other_lm, tiny_lm)]
    shapes = [Shape(m.config.num_hidden_layers, m.config.hidden_size, m.config.num_attention_heads) for m in models]
    asked = {"output_hidden_states": True, "output_attentions": True}
    ids = torch.arange(24).view(3, 8)
    said = [model(ids, **asked) for model in models]
    student, teacher = (Outputs(each.hidden_states, each.attentions) for each in said)
    mask = torch.ones(3, 8, dtype=torch.bool)
    for use in ("hidden", "attention", "relation"):
        module = module_of(use, *shapes)
        found = module(student, teacher, mask)
        models[0].zero_grad()
        found.backward(retain_graph=True)
        assert float(found.detach()) > 0.0
        assert float(models[0].model.layers[0].self_attn.q_proj.weight.grad.norm()) > 0.0
        assert float(module_of(use, shapes[1], shapes[1])(teacher, teacher, mask).detach()) == pytest.approx(
            0, abs=1e-5
        )
