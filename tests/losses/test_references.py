"""The same numbers from other people's implementations."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from made_losses import loss_of, module_of, random_target
from scipy.spatial.distance import jensenshannon
from scipy.special import rel_entr, softmax

from distbench.losses.features import Outputs, Shape


def both(temperature: float) -> tuple[torch.Tensor, torch.Tensor, Any]:
    student, target = random_target(5, 200, seed=11)
    return student / temperature, target.teacher.logits[0] / temperature, (student, target)


@pytest.fixture
def trl_jsd(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    gkd = pytest.importorskip("trl.experimental.gkd", reason="trl, whose GKD defines the generalised JSD, is not here")
    return gkd.GKDTrainer.generalized_jsd_loss


@pytest.mark.parametrize("temperature", [1.0, 2.5])
@pytest.mark.parametrize("beta", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_jsd_is_that_of_trl_times_t_squared(trl_jsd: Any, beta: float, temperature: float) -> None:
    student, target = random_target(5, 200, seed=11)
    ours, theirs = student.clone().requires_grad_(), student.clone().requires_grad_()
    value = loss_of("jsd", beta=beta, temperature=temperature)(ours, target)
    expected = trl_jsd(theirs, target.teacher.logits[0], beta=beta, temperature=temperature, reduction="sum")
    value.backward()
    (temperature**2 * expected).backward()
    assert value.item() == pytest.approx(temperature**2 * expected.item(), rel=1e-12)
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_divergences_are_those_of_scipy(temperature: float) -> None:
    student, teacher, (logits, target) = both(temperature)
    p, q = softmax(teacher.numpy(), -1), softmax(student.numpy(), -1)
    expected = {
        "forward-kl": rel_entr(p, q).sum(),
        "reverse-kl": rel_entr(q, p).sum(),
        "jsd": (jensenshannon(p, q, axis=-1) ** 2).sum(),
        "skew-kl": rel_entr(p, 0.1 * p + 0.9 * q).sum(),
        "skew-reverse-kl": rel_entr(q, 0.1 * q + 0.9 * p).sum(),
        "total-variation": 0.5 * np.abs(p - q).sum(),
    }
    for use, value in expected.items():
        found = float(loss_of(use, temperature=temperature)(logits, target))
        assert found == pytest.approx(temperature**2 * float(value), rel=1e-10), use


def test_uld_is_the_distance_of_sorted_arrays() -> None:
    student, teacher, (logits, target) = both(1.0)
    falling = [np.sort(softmax(each.numpy(), -1), -1)[:, ::-1] for each in (teacher, student)]
    assert float(loss_of("uld")(logits, target)) == pytest.approx(float(np.abs(falling[0] - falling[1]).sum()))


def test_cosines_are_those_of_torch() -> None:
    ours, theirs = (torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(s)) for s in (1, 2))
    shape = Shape(1, 5, 1)
    mask = torch.ones(2, 6, dtype=torch.bool)
    found = module_of("hidden", shape, shape)(Outputs([ours, ours]), Outputs([theirs, theirs]), mask)
    expected = torch.nn.CosineEmbeddingLoss()(ours.flatten(0, 1), theirs.flatten(0, 1), torch.ones(12))
    assert float(found) == pytest.approx(float(expected), rel=1e-6)
