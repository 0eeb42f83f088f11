"""The distance of attention maps, as a torch module."""

from __future__ import annotations

from typing import Any

import torch

from distbench.losses.features import Outputs, Pairs, attention_of
from distbench.losses.target import at_least_float32

SMALLEST = torch.finfo(torch.float32).tiny  # of a weight under a logarithm


class AttentionDistance(torch.nn.Module):
    """Mean distance over pairs of layers, over heads (or of their means) and over queries."""

    def __init__(self, measure: str, pairs: Pairs, *, means: bool) -> None:
        super().__init__()
        self.measure, self.pairs, self.means = measure, pairs, means

    def forward(self, student: Outputs, teacher: Outputs, mask: Any) -> Any:
        """Return a scalar; mask [n, L] bool says which queries count. None does: 0, with a gradient of 0."""
        total: Any = 0.0
        for s, t in self.pairs:
            ours, theirs = (self._weights(attention_of(*each), mask) for each in ((student, s), (teacher, t)))
            total = total + self._distance(ours, theirs.detach()) / ours.shape[1]
        return total / (len(self.pairs) * mask.sum().clamp_min(1))

    def _weights(self, maps: Any, mask: Any) -> Any:
        """Return the counted queries' weights over keys, [m, heads or 1, L]."""
        chosen = at_least_float32(maps).transpose(1, 2)[mask]
        return chosen.mean(1, keepdim=True) if self.means else chosen

    def _distance(self, ours: Any, theirs: Any) -> Any:
        """Return the sum over queries and heads."""
        if self.measure == "mse":
            return (ours - theirs).square().sum()
        return (theirs * (theirs.clamp_min(SMALLEST).log() - ours.clamp_min(SMALLEST).log())).sum()
