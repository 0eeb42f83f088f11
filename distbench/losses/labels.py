"""Cross-entropy on labels."""

from __future__ import annotations

from typing import Any, ClassVar

from distbench.losses.target import IGNORED, Target
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

        return cross_entropy(logits.float(), target.labels, reduction="sum", ignore_index=IGNORED)
