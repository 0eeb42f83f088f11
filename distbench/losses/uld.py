"""Universal logit distillation: a teacher with another vocabulary."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field

from distbench.errors import UsageError
from distbench.losses.target import Full, Target, at_least_float32
from distbench.schema.strict import Strict


class ULDOptions(Strict):
    """Options of `uld`."""

    temperature: float = Field(1.0, ge=0.05, le=100, description="softens both distributions; the loss is scaled by T²")
    top_k: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="compare so many of the largest probabilities, and the rest; all if left out",
    )


class ULD:
    """T² Σ_positions Σ_i |p₍ᵢ₎ − q₍ᵢ₎| over both models' probabilities in falling order (Boizard et al. 2024, ULD).

    That is the Wasserstein distance where moving mass costs the same between any two tokens, so that no token has to
    mean the same in both vocabularies; the smaller vocabulary is filled up with zeros. Three things differ from the
    paper. There position t of one tokenisation meets position t of the other; here those meet that have read the same
    characters (`distbench.losses.alignment`), and the others are left out. T² and `top_k` are ours: with the latter all
    outside the k largest is one bucket, a lower bound, and no whole vocabulary is sorted. And the cross-entropy beside
    it is a loss of its own, `labels`; the paper gives this one 1.5 times its weight.
    """

    Options = ULDOptions
    reads: ClassVar[str] = "logits"
    asks: ClassVar[str] = "other-tokenizer"

    def __init__(self, options: ULDOptions) -> None:
        self.options = options

    def __call__(self, logits: Any, target: Target) -> Any:
        """Return the sum over aligned positions; logits [n, V], `target.teacher`: `Full` of one teacher's [n, V'].

        Raises UsageError for a target of another form.
        """
        import torch

        teacher = target.teacher
        if not isinstance(teacher, Full) or len(teacher.logits) != 1:
            raise UsageError("uld compares with the logits of one teacher; ask it online")
        t = self.options.temperature
        ours, theirs = (torch.softmax(at_least_float32(each) / t, -1) for each in (logits, teacher.logits[0]))
        return falling_distance(theirs, ours, self.options.top_k).sum() * t * t


def falling_distance(p: Any, q: Any, top_k: int | None) -> Any:
    """Return Σ_i |p₍ᵢ₎ − q₍ᵢ₎| of probabilities in falling order, [n]; p [n, V], q [n, V']."""
    import torch

    size = max(p.shape[-1], q.shape[-1])
    kept = size if top_k is None else min(top_k, size)
    p, q = _largest(p, kept), _largest(q, kept)
    distance = (p - q).abs().sum(-1)
    if kept == size:
        return distance
    rest_p, rest_q = (1.0 - each.sum(-1) for each in (p, q))
    return distance + torch.abs(rest_p - rest_q)


def _largest(values: Any, k: int) -> Any:
    """Return the k largest of each row in falling order, filled up with zeros, [n, k]."""
    from torch.nn.functional import pad

    size = values.shape[-1]
    found = values.sort(-1, descending=True).values if k >= size else values.topk(k, -1).values
    return pad(found, (0, k - found.shape[-1]))
