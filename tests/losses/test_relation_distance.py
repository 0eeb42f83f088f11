"""Relations between the sequences of a batch, against loops over pairs and triples."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from made_losses import module_of

from distbench.errors import UsageError
from distbench.losses.features import Outputs, Shape

SHAPE = Shape(1, 3, 1)


def huber(gap: float) -> float:
    return 0.5 * gap * gap if abs(gap) <= 1 else abs(gap) - 0.5


def slowly(ours: torch.Tensor, theirs: torch.Tensor) -> tuple[float, float]:
    """The distance and the angle term, as the paper writes them."""
    n = len(ours)
    pairs, triples = list(itertools.permutations(range(n), 2)), list(itertools.permutations(range(n), 3))

    def distance(x: torch.Tensor) -> dict[tuple[int, int], float]:
        raw = {(i, j): math.dist(x[i].tolist(), x[j].tolist()) for i, j in pairs}
        mean = sum(raw.values()) / len(raw)
        return {pair: value / mean for pair, value in raw.items()}

    def angle(x: torch.Tensor, i: int, j: int, k: int) -> float:
        a, b = x[i] - x[j], x[k] - x[j]
        return float(a @ b / (a.norm() * b.norm()))

    s, t = distance(ours), distance(theirs)
    return (
        sum(huber(s[pair] - t[pair]) for pair in pairs) / len(pairs),
        sum(huber(angle(ours, *each) - angle(theirs, *each)) for each in triples) / len(triples) if triples else 0.0,
    )


def last_states(points: torch.Tensor) -> Outputs:
    """Sequences of one token."""
    return Outputs([torch.full_like(points, 99.0).unsqueeze(1), points.unsqueeze(1)])


def compared(ours: torch.Tensor, theirs: torch.Tensor, **options: Any) -> torch.Tensor:
    module = module_of("relation", Shape(1, ours.shape[1], 1), Shape(1, theirs.shape[1], 1), **options)
    return module(last_states(ours), last_states(theirs), torch.ones(len(ours), 1, dtype=torch.bool))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_equals_the_loops(n: int) -> None:
    generator = torch.Generator().manual_seed(n)
    ours = 4.0 * torch.randn(n, 3, generator=generator, dtype=torch.float64)
    theirs = torch.randn(n, 5, generator=generator, dtype=torch.float64).exp()
    distance, angle = slowly(ours, theirs)
    assert float(compared(ours, theirs, angle=0.0)) == pytest.approx(distance, abs=1e-12)
    assert float(compared(ours, theirs)) == pytest.approx(distance + 2 * angle, abs=1e-12)
    if n > 2:
        assert float(compared(ours, theirs, distance=0.0, angle=3.0)) == pytest.approx(3 * angle, abs=1e-12)


def test_by_hand() -> None:
    """A right angle with legs 1 and 1, and points on a line at 0, 1, 2."""
    right, line = torch.tensor([[0.0, 0], [1, 0], [0, 1]]), torch.tensor([[0.0], [1], [2]])
    mean = (1 + 1 + math.sqrt(2)) / 3
    gaps = [1 / mean - 3 / 4, 1 / mean - 6 / 4, math.sqrt(2) / mean - 3 / 4]  # the line's mean distance is 4/3
    assert float(compared(right, line, angle=0.0)) == pytest.approx(sum(huber(gap) for gap in gaps) / 3, abs=1e-6)
    half = math.sqrt(0.5)
    cosines = [0.0 - 1.0, half + 1.0, half - 1.0]  # at the three points; the line's are 1, −1, 1
    expected = sum(huber(gap) for gap in cosines) / 3
    assert float(compared(right, line, distance=0.0, angle=1.0)) == pytest.approx(expected, abs=1e-6)


def test_neither_scale_nor_rotation_nor_place_counts() -> None:
    points = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(1)))
    assert float(compared(7.0 * points @ turn + 3.0, points)) == pytest.approx(0.0, abs=1e-9)
    assert float(compared(points * torch.tensor([1.0, 1.0, 9.0]), points)) > 0.01


def test_gradients_are_those_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(3)
    ours = torch.randn(4, 3, generator=generator, dtype=torch.float64).requires_grad_()
    theirs = torch.randn(4, 2, generator=generator, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: compared(x, theirs), ours)


def test_equal_sequences_have_no_undefined_gradient() -> None:
    for ours in (torch.ones(3, 4), torch.tensor([[1.0, 2], [1, 2], [3, 4]])):
        leaf = ours.requires_grad_()
        found = compared(leaf, torch.randn(3, 5, generator=torch.Generator().manual_seed(0)))
        found.backward()
        assert bool(torch.isfinite(found.detach()))
        assert bool(torch.isfinite(leaf.grad).all())


def test_a_sequence_is_its_counted_positions() -> None:
    hidden = torch.randn(3, 4, 3, generator=torch.Generator().manual_seed(4))
    mask = torch.tensor([[True, True, False, False], [False, True, True, False], [True, True, True, True]])
    means = torch.stack([row[keep].mean(0) for row, keep in zip(hidden, mask, strict=True)])
    lasts = torch.stack([hidden[0, 1], hidden[1, 2], hidden[2, 3]])
    theirs = torch.randn(3, 3, generator=torch.Generator().manual_seed(5))
    teacher = Outputs([theirs.unsqueeze(1).expand(3, 4, 3)])
    for pool, points in (("mean", means), ("last", lasts)):
        found = module_of("relation", SHAPE, SHAPE, pool=pool)(Outputs([hidden]), teacher, mask)
        assert float(found) == pytest.approx(float(compared(points, theirs)), abs=1e-6)


def test_a_sequence_that_does_not_count_is_left_out() -> None:
    points = torch.randn(4, 3, generator=torch.Generator().manual_seed(6))
    theirs = torch.randn(4, 3, generator=torch.Generator().manual_seed(7))
    mask = torch.tensor([[True], [False], [True], [True]])
    found = module_of("relation", SHAPE, SHAPE)(last_states(points), last_states(theirs), mask)
    keep = mask[:, 0]
    assert float(found) == pytest.approx(float(compared(points[keep], theirs[keep])), abs=1e-6)


def test_batches_without_a_relation() -> None:
    points = torch.randn(3, 3, generator=torch.Generator().manual_seed(8)).requires_grad_()
    states, mask = last_states(points), torch.ones(3, 1, dtype=torch.bool)
    single = Outputs([each[:1] for each in states.hidden])
    module = module_of("relation", SHAPE, SHAPE)
    with pytest.raises(UsageError, match="needs 2, and the first batch has 1; raise batch_size"):
        module(single, single, mask[:1])
    assert float(module(states, states, mask).detach()) == pytest.approx(0.0, abs=1e-9)
    last = module(single, single, mask[:1])  # of an epoch
    last.backward()
    assert float(last.detach()) == 0.0
    two, angles_only = Outputs([each[:2] for each in states.hidden]), module_of("relation", SHAPE, SHAPE, distance=0.0)
    with pytest.raises(UsageError, match="needs 3, and the first batch has 2"):
        angles_only(two, two, mask[:2])


def test_nothing_to_compare_is_refused() -> None:
    with pytest.raises(UsageError, match="nothing is compared"):
        module_of("relation", SHAPE, SHAPE, distance=0.0, angle=0.0)
