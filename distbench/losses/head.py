"""The output head of a causal language model: its last linear layer, and what comes before it.

With the two apart, logits can be made for a few positions at a time, and never for all at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TRIAL = 5  # token ids 0 to 4: enough to see whether anything but a linear layer lies between trunk and logits
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Head:
    """logits = hidden @ weight.T + bias; weight [V, d], bias [V] or None. `trunk(**inputs)` gives hidden [n, L, d]."""

    module: Any

    @property
    def weight(self) -> Any:
        """The matrix, [V, d]."""
        return self.module.get_output_embeddings().weight

    @property
    def bias(self) -> Any:
        """The bias, [V], or None."""
        return getattr(self.module.get_output_embeddings(), "bias", None)

    def hidden(self, inputs: dict[str, Any], **wanted: bool) -> Any:
        """Run the trunk; `wanted` asks for more of its outputs, such as output_hidden_states."""
        return self.module.get_decoder()(**inputs, use_cache=False, **wanted)


class Room:
    """Memory for the logits of a chunk, the same from step to step.

    The C library returns blocks of this size to the system when they are freed; to fetch 50 MiB again, page by page,
    takes a third of the matrix product that fills them (SmolLM2-135M, 256 positions, float32).
    """

    def __init__(self) -> None:
        self._memory: Any = None

    def of(self, rows: int, like: Any, dtype: Any) -> Any:
        """Return memory for [rows, V], with what it holds; `like` is the head's matrix, [V, d]."""
        held = self._memory
        if held is None or held.dtype != dtype or held.device != like.device or held.numel() < rows * len(like):
            self._memory = None  # first give back what is too small
            held = self._memory = like.new_empty(rows * len(like), dtype=dtype)
        return held[: rows * len(like)].view(rows, len(like))


@dataclass(frozen=True)
class HeadInArithmetic:
    """A head in the type in which matrix products are computed here: autocast's, or its own."""

    weight: Any
    bias: Any
    room: Room

    @classmethod
    def of(cls, weight: Any, bias: Any, room: Room) -> HeadInArithmetic:
        """Convert weight [V, d] and bias [V] or None, once for all chunks."""
        import torch

        kind = weight.device.type
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else weight.dtype
        return cls(weight.detach().to(dtype), None if bias is None else bias.detach().to(dtype), room)

    def logits(self, states: Any) -> Any:
        """Return the logits [n, V] of states [n, d], without gradients: valid until the next call."""
        import torch

        with torch.no_grad():
            room = self.room.of(len(states), self.weight, self.weight.dtype)
            made = torch.mm(states.to(self.weight.dtype), self.weight.t(), out=room)
            return made if self.bias is None else made.add_(self.bias)


def head_of(module: Any) -> Head | None:
    """Return the head of a loaded model; None where its logits are not simply a linear map of the trunk's output.

    Found out by a trial: some families cap, scale or mask their logits.
    """
    import torch

    head = module.get_output_embeddings()
    if head is None or type(head) is not torch.nn.Linear or not hasattr(module, "get_decoder"):
        return None
    ids = torch.arange(TRIAL, device=module.device).unsqueeze(0)
    training = module.training
    module.eval()
    try:
        with torch.no_grad():
            said = module(input_ids=ids, use_cache=False).logits
            made = head(module.get_decoder()(input_ids=ids, use_cache=False).last_hidden_state)
    finally:
        module.train(training)
    fits = said.shape == made.shape and torch.allclose(said.float(), made.float(), atol=TOLERANCE, rtol=TOLERANCE)
    return Head(module) if fits else None
