"""Cross-entropy on labels."""

from __future__ import annotations

from typing import Any, ClassVar

from distbench.losses.positions import Positions
from distbench.losses.target import IGNORED, Target, at_least_float32
from distbench.schema.strict import Strict


class Labels:
    """−log q(label), summed over the positions that have one."""

    class Options(Strict):
        """No options."""

    reads: ClassVar[str] = "logits"
    asks: ClassVar[str] = "nothing"

    def __init__(self, options: Options) -> None:
        self.options = options

    def __call__(self, logits: Any, target: Target) -> Any:
        """Return the sum in nats; logits [n, V]."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(at_least_float32(logits), target.labels, reduction="sum", ignore_index=IGNORED)

    def accumulate(self, at: Positions, weight: float, into: Any) -> Any:
        """Add `weight` × the gradient by the logits to `into` [n, V]; return the loss, without the weight."""
        labels = at.target.labels.unsqueeze(-1)
        counts = (labels != IGNORED).to(into.dtype)
        index = labels.clamp_min(0)
        into.addcmul_(at.probabilities(1.0), counts, value=weight).scatter_add_(-1, index, -weight * counts)
        return -(at.log(1.0).gather(-1, index) * counts).sum()
