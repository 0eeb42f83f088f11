"""Losses over the vocabulary without the logits of more than a few positions, and without a second pass for gradients.

All logits of a batch, [N, V], are the largest tensors of a training by far: they, their softmax and its gradient. Here
the N positions are walked in chunks. The gradient of a chunk is computed at once, while its logits exist, and only what
it means for the hidden states [N, d] and the head [V, d] is kept; the backward pass only has to multiply.
The idea is that of the fused linear cross-entropy in Hsu et al. 2024 (Liger Kernel, arXiv:2410.10989). Within a chunk
the losses see a few rows at a time, which stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch.autograd.function import once_differentiable

from distbench.losses.head import HeadInArithmetic, Room
from distbench.losses.positions import Positions
from distbench.losses.target import Target

CHUNK = 256  # positions whose logits exist at once: fewer make the matrix products slower
TILE = 1 << 19  # logits that the losses see at once on a CPU: 2 MiB
HEAP = 28 << 20  # bytes; below the 32 MiB up to which the C library can be taught


class VocabularyLoss(Protocol):
    """A loss over logits: a sum over positions.

    One that has `accumulate(at: Positions, weight, into) -> value` too adds its own gradient; of others it is traced.
    """

    def __call__(self, logits: Any, target: Target) -> Any:
        """Return the sum over positions; logits [n, V]."""
        ...


TargetOf = Callable[[slice], Target]
Losses = Sequence[tuple[float, VocabularyLoss]]


def chunked_sum(
    hidden: Any, weight: Any, bias: Any, target_of: TargetOf, losses: Losses, chunk: int = CHUNK,
    room: Room | None = None,
) -> torch.Tensor:  # fmt: skip
    """Return Σ_losses weight × loss(hidden @ weight.T + bias, target), a float32 scalar (float64 for such input).

    Shapes: hidden [N, d], weight [V, d], bias [V] or None. `target_of` is asked for slices of the N positions, in
    order, each once, and without gradients. Every position counts: leave out before what has no target. A factor that
    is known before, such as 1/N, is best put into the losses' weights: then the backward pass touches nothing. Under
    autocast the matrix products run in its type, the losses in float32, and the head's gradient is summed in float32.
    The backward pass can run once. `room` holds the logits of a chunk, from call to call.
    """
    wanted = torch.is_grad_enabled()
    total: torch.Tensor = _Chunked.apply(  # type: ignore[no-untyped-call]
        hidden, weight, bias, target_of, tuple(losses), chunk, wanted, room or Room()
    )
    return total


class _Chunked(torch.autograd.Function):
    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917 - autograd passes what `chunked_sum` was given
        ctx: Any, hidden: Any, weight: Any, bias: Any, target_of: TargetOf, losses: Losses, chunk: int, wanted: bool,
        room: Room,
    ) -> Any:  # fmt: skip
        """Compute the sum and, where anything wants them, all gradients."""
        needs = ctx.needs_input_grad[:3] if wanted else (False, False, False)
        if hidden.device.type == "cpu":
            _keep_heap()
        head = HeadInArithmetic.of(weight, bias, room)
        gradients = _Gradients.of(hidden, weight, bias, needs)
        total = hidden.new_zeros((), dtype=torch.float64 if hidden.device.type != "mps" else torch.float32)
        for first in range(0, len(hidden), chunk):
            rows = slice(first, min(first + chunk, len(hidden)))
            states = hidden[rows].to(head.weight.dtype)
            logits = head.logits(states)
            _walk(logits, target_of(rows), losses, total, overwrite=any(needs))
            if any(needs):
                gradients.add(rows, logits, states, head.weight)
        ctx.gradients = gradients.finished(weight.dtype)
        return total.to(torch.float64 if hidden.dtype == torch.float64 else torch.float32)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, factor: Any) -> Any:
        """Scale the gradients, which exist already, in place."""
        if ctx.gradients is None:
            raise RuntimeError("the chunked loss keeps its gradients for one backward pass only")
        gradients, ctx.gradients = ctx.gradients, None
        if factor.device.type != "cpu" or factor.item() != 1.0:  # elsewhere, to look at it would wait for the device
            for each in gradients:
                if each is not None:
                    each.mul_(factor)
        return (*gradients, None, None, None, None, None)


def _keep_heap() -> None:
    """Teach the C library not to return a tile's memory to the system, and fetch it again, with every operation.

    glibc takes the largest block that was freed as a hint (mallopt(3): M_MMAP_THRESHOLD, M_TRIM_THRESHOLD). Without it
    the losses of a tile spend most of their time in page faults. Elsewhere this does nothing.
    """
    torch.empty(HEAP, dtype=torch.uint8)


@dataclass
class _Gradients:
    """What is kept of each chunk: sums for the head, in float32 at least, and rows for the hidden states."""

    hidden: Any
    weight: Any
    bias: Any

    @classmethod
    def of(cls, hidden: Any, weight: Any, bias: Any, needs: Sequence[bool]) -> _Gradients:
        precise = torch.float64 if weight.dtype == torch.float64 else torch.float32
        return cls(
            torch.empty_like(hidden) if needs[0] else None,
            torch.zeros_like(weight, dtype=precise) if needs[1] else None,
            torch.zeros_like(bias, dtype=precise) if needs[2] else None,
        )

    def add(self, rows: slice, slopes: Any, states: Any, weight: Any) -> None:
        """Take in a chunk's gradient by its logits, [n, V]."""
        if self.hidden is not None:
            if self.hidden.dtype == slopes.dtype:
                torch.mm(slopes, weight, out=self.hidden[rows])
            else:
                self.hidden[rows] = slopes @ weight
        if self.weight is not None:
            if self.weight.dtype == slopes.dtype:
                self.weight.addmm_(slopes.t(), states)
            else:
                self.weight.add_(slopes.t() @ states)
        if self.bias is not None:
            self.bias.add_(slopes.sum(0, dtype=self.bias.dtype))

    def finished(self, dtype: torch.dtype) -> list[Any]:
        """Return all three, those of the head in its type."""
        return [self.hidden, *(each if each is None else each.to(dtype) for each in (self.weight, self.bias))]


def _walk(logits: Any, target: Target, losses: Losses, total: Any, *, overwrite: bool) -> None:
    """Add all losses of a chunk to `total`; `overwrite` its logits with their gradient."""
    rows = len(logits) if logits.device.type != "cpu" else max(1, TILE // logits.shape[-1])
    for first in range(0, len(logits), rows):
        some = slice(first, first + rows)
        at = Positions(logits[some], target.rows(some))
        slopes = torch.zeros_like(at.logits) if overwrite else None
        for weight, loss in losses:
            value = loss(at.logits, at.target) if slopes is None else _accumulate(loss, at, weight, slopes)
            total.add_(value, alpha=weight)
        if slopes is not None:
            logits[some] = slopes


def _accumulate(loss: VocabularyLoss, at: Positions, weight: float, into: Any) -> Any:
    """Add a loss's weighted gradient by the logits; return the loss."""
    own = getattr(loss, "accumulate", None)
    if own is not None:
        return own(at, weight, into)
    with torch.enable_grad():
        logits = at.logits.detach().requires_grad_()
        value = loss(logits, at.target)
    (gradient,) = torch.autograd.grad(value, logits)
    into.add_(gradient, alpha=weight)
    return value.detach()
