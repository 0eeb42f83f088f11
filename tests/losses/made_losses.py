"""The vocabulary losses of the suite format, and targets in every form in which a teacher can be known."""

from __future__ import annotations

from typing import Any

import torch

from distbench import plugins
from distbench.losses.target import Full, Softened, Target, TopK
from distbench.schema.strict import Use

DIVERGENCES = ["forward-kl", "reverse-kl", "jsd", "skew-kl", "skew-reverse-kl", "total-variation"]
P, Q = [0.5, 0.3, 0.2], [0.2, 0.5, 0.3]  # a teacher and a student whose divergences were worked out by hand


def loss_of(use: str, **options: Any) -> Any:
    return plugins.load("losses", use)(plugins.options("losses", Use(use=use, **options)))


def module_of(use: str, student: Any, teacher: Any, **options: Any) -> Any:
    return loss_of(use, **options).build(student, teacher)


def logits_like(probabilities: list[float], offset: float = 0.0) -> torch.Tensor:
    """Logits of one position with this softmax; what is added to all of them must not matter."""
    return torch.tensor([probabilities], dtype=torch.float64).log() + offset


def forms(teacher: torch.Tensor, temperature: float, k: int) -> dict[str, Full | Softened | TopK]:
    """The same teacher: its logits, its log-probabilities at a temperature, and the k likeliest of those."""
    logp = torch.log_softmax(teacher / temperature, -1)
    best = logp.topk(k, -1)
    return {
        "full": Full([teacher]),
        "softened": Softened(logp, temperature),
        "top-k": TopK(best.indices, best.values, temperature),
    }


def random_target(n: int, size: int, seed: int, dtype: torch.dtype = torch.float64) -> tuple[torch.Tensor, Target]:
    """Student logits [n, size] and a target whose teacher is known in full."""
    generator = torch.Generator().manual_seed(seed)
    student, teacher = (3.0 * torch.randn(n, size, generator=generator, dtype=dtype) for _ in range(2))
    labels = torch.randint(size, (n,), generator=generator)
    return student, Target(labels, Full([teacher]))
