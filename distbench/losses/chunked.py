"""The vocabulary loss a chunk of positions at a time (first version: by autograd)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def chunked_sum(
    hidden: Any, weight: Any, bias: Any, target_of: Callable[[slice], Any], losses: Sequence[tuple[float, Any]], chunk: int = 256
) -> Any:
    import torch

    total = hidden.new_zeros((), dtype=torch.float32)
    for first in range(0, len(hidden), chunk):
        rows = slice(first, min(first + chunk, len(hidden)))
        logits = torch.nn.functional.linear(hidden[rows], weight, bias)
        target = target_of(rows)
        total = total + sum(w * loss(logits, target) for w, loss in losses)
    return total
