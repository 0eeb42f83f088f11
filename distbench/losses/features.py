"""What feature losses are given of a model, and how layers of a student are paired with those of its teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field

from distbench.errors import UsageError

Pairs = list[tuple[int, int]]
LayerMap = (
    Literal["uniform", "last"]
    | Annotated[list[Annotated[list[int], Field(min_length=2, max_length=2)]], Field(min_length=1, max_length=256)]
)


@dataclass(frozen=True)
class Shape:
    """How large a model is: transformer layers, channels of its hidden states, attention heads of a layer."""

    layers: int
    hidden: int
    heads: int


@dataclass(frozen=True)
class Outputs:
    """What a model computed of n rows of L tokens, besides logits; None where it was not asked for.

    hidden: layers + 1 tensors [n, L, d], first the embeddings; attentions: a tensor [n, heads, L, L] a layer, each
    query's weights over the keys.
    """

    hidden: Sequence[Any] | None = None
    attentions: Sequence[Any] | None = None


def layer_pairs(layers: LayerMap, student: Shape, teacher: Shape, *, first: int, loss: str) -> Pairs:
    """Return pairs (student layer, teacher layer), counted from 1; 0 is the embeddings where `first` is 0.

    "uniform" pairs every layer s of the student's S with the teacher's ⌈s T / S⌉: TinyBERT's map (Jiao et al. 2020,
    section 3.1) where S divides T; the last layer meets the last. Raises UsageError for a layer that is not there.
    """
    if layers == "last":
        return [(student.layers, teacher.layers)]
    if layers == "uniform":
        return [(s, -(-s * teacher.layers // student.layers)) for s in range(1, student.layers + 1)]
    pairs = [(pair[0], pair[1]) for pair in layers]
    for pair in pairs:
        for side, layer, shape in zip(("student", "teacher"), pair, (student, teacher), strict=True):
            if not first <= layer <= shape.layers:
                raise UsageError(
                    f"loss {loss!r}: layer {layer} of the {side} in {list(pair)}; it has layers {first} to "
                    f"{shape.layers}"
                )
    return pairs


def hidden_of(outputs: Outputs, layer: int) -> Any:
    """Return the hidden states after a layer, [n, L, d]; 0: the embeddings."""
    if outputs.hidden is None:
        raise UsageError("the model returned no hidden states, which the loss compares")
    return outputs.hidden[layer]


def attention_of(outputs: Outputs, layer: int) -> Any:
    """Return the attention maps of a layer, counted from 1, [n, heads, L, L]."""
    found = outputs.attentions[layer - 1] if outputs.attentions else None
    if found is None:
        raise UsageError("the model returned no attention maps, which the loss compares; open it with attention: eager")
    return found
