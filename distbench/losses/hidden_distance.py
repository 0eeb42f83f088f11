"""The distance of hidden states, as a torch module that may hold projectors."""

from __future__ import annotations

from typing import Any

import torch

from distbench.losses.features import Outputs, Pairs, hidden_of
from distbench.losses.hidden import HiddenOptions
from distbench.losses.target import at_least_float32


class HiddenDistance(torch.nn.Module):
    """Mean distance over pairs of layers; `sizes` (student, teacher) where vectors are projected."""

    def __init__(self, options: HiddenOptions, pairs: Pairs, sizes: tuple[int, int] | None) -> None:
        super().__init__()
        self.measure, self.normalise, self.pairs = options.measure, options.normalise, pairs
        self.projectors = torch.nn.ModuleList(_projector(*sizes) for _ in pairs) if sizes else None

    def forward(self, student: Outputs, teacher: Outputs, mask: Any) -> Any:
        """Return a scalar; mask [n, L] bool says which positions count. Nothing counts: 0, with a gradient of 0."""
        total: Any = 0.0
        for index, (s, t) in enumerate(self.pairs):
            ours, theirs = hidden_of(student, s)[mask], at_least_float32(hidden_of(teacher, t)[mask].detach())
            if self.projectors is not None:
                ours = self.projectors[index](ours)
            total = total + self._distance(at_least_float32(ours), theirs)
        return total / (len(self.pairs) * mask.sum().clamp_min(1))

    def _distance(self, ours: Any, theirs: Any) -> Any:
        """Return the sum over positions; both [m, d]."""
        if self.measure == "cosine":
            return (1.0 - torch.nn.functional.cosine_similarity(ours, theirs, dim=-1)).sum()
        gap = (ours - theirs).square().mean(-1).sum()
        if not self.normalise:
            return gap
        return gap / theirs.square().mean().clamp_min(torch.finfo(theirs.dtype).tiny)


def _projector(student: int, teacher: int) -> Any:
    """Return a linear map without bias that begins as an isometry, as near to one as the sizes allow."""
    linear = torch.nn.Linear(student, teacher, bias=False)
    torch.nn.init.orthogonal_(linear.weight)
    return linear
