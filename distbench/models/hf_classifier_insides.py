"""What a transformers classifier computes before its logits, for losses that compare it with a teacher's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from distbench.errors import UsageError
from distbench.losses.features import Outputs, Shape

if TYPE_CHECKING:  # it imports torch, which opening the module above must not
    from distbench.training.insides import Inside


def shape_of(module: Any) -> Shape:
    """Return the numbers of layers, hidden channels and attention heads.

    Raises UsageError for an architecture that has no such numbers: stages of a convolutional network differ.
    """
    config = module.config
    try:
        return Shape(int(config.num_hidden_layers), int(config.hidden_size), int(config.num_attention_heads))
    except (AttributeError, TypeError, ValueError):
        raise UsageError(
            f"{config.model_type}: its layers are not alike, so losses cannot compare them with those of another model"
        ) from None


def inside_of(out: Any, tensors: dict[str, Any]) -> Inside:
    """Return what a module said of tensors. Raises UsageError where it has no vector for each position of a row."""
    import torch

    from distbench.training.insides import Inside

    hidden, attentions = getattr(out, "hidden_states", None), getattr(out, "attentions", None)
    seen = hidden[-1] if hidden is not None else attentions[-1] if attentions else None
    if seen is None or (hidden is not None and seen.ndim != 3):
        raise UsageError("this architecture shows no hidden states or attention by position, which a loss compares")
    ids, mask = tensors.get("input_ids"), tensors.get("attention_mask")
    if mask is None:
        length = seen.shape[1] if hidden is not None else seen.shape[-1]
        mask = torch.ones((len(seen), length), dtype=torch.bool, device=seen.device)
    return Inside(out.logits, Outputs(hidden=hidden, attentions=attentions), mask.bool(), ids)
