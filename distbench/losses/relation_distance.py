"""Relations between the sequences of a batch, and their distance from the teacher's, as a torch module."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import huber_loss, normalize

from distbench.errors import UsageError
from distbench.losses.features import Outputs, hidden_of
from distbench.losses.relation import RelationOptions
from distbench.losses.target import at_least_float32


class RelationDistance(torch.nn.Module):
    """Weighted Huber losses of distances and angles.

    A batch with too few sequences has no relation and adds nothing: the last one of an epoch may be such. Where already
    the first one is, so would all be, and that is a UsageError.
    """

    def __init__(self, options: RelationOptions) -> None:
        super().__init__()
        self.options = options
        self.least = 2 if options.distance else 3
        self.compared = False  # whether any batch had a relation

    def forward(self, student: Outputs, teacher: Outputs, mask: Any) -> Any:
        """Return a scalar; mask [n, L] bool says which positions stand for their sequence. One without any is left out.

        Raises UsageError where the first batch has fewer than two sequences, or three for angles alone.
        """
        ours = self._points(hidden_of(student, -1), mask)
        theirs = self._points(hidden_of(teacher, -1), mask).detach()
        n = len(ours)
        if n < self.least and not self.compared:
            raise UsageError(
                f"loss 'relation' compares sequences of a batch: it needs {self.least}, and the first batch has {n}; "
                "raise batch_size"
            )
        self.compared = True
        total = ours.sum() * 0.0
        if self.options.distance and n >= 2:
            total = total + self.options.distance * huber_loss(distances(ours), distances(theirs))
        if self.options.angle and n >= 3:
            total = total + self.options.angle * huber_loss(angles(ours), angles(theirs))
        return total

    def _points(self, hidden: Any, mask: Any) -> Any:
        """Return a vector a sequence, [n, d]."""
        counted = mask.any(-1)
        hidden, mask = at_least_float32(hidden)[counted], mask[counted]
        if self.options.pool == "mean":
            return (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(-1, keepdim=True)
        last = torch.arange(mask.shape[1], device=mask.device).mul(mask).argmax(-1)
        return hidden[torch.arange(len(hidden), device=hidden.device), last]


def distances(points: Any) -> Any:
    """Return the distances of all ordered pairs over their mean, [n (n − 1)]; points [n, d]."""
    tiny = torch.finfo(points.dtype).tiny  # equal points have a distance of 0 and no gradient, not an undefined one
    squares = differences(points).square().sum(-1)
    apart = ~torch.eye(len(points), dtype=torch.bool, device=points.device)
    found = squares[apart].clamp_min(tiny).sqrt()
    return found / found.mean()


def angles(points: Any) -> Any:
    """Return the cosine at j of every ordered triple of different points i, j, k; points [n, d]."""
    towards = normalize(differences(points), dim=-1)  # [j, i, d]: from point j to point i
    cosines = towards @ towards.transpose(1, 2)  # [j, i, k]
    same = torch.eye(len(points), dtype=torch.bool, device=points.device)
    return cosines[~(same[:, :, None] | same[:, None, :] | same[None, :, :])]


def differences(points: Any) -> Any:
    """Return points[i] − points[j] at [j, i], [n, n, d]."""
    return points[None, :, :] - points[:, None, :]
