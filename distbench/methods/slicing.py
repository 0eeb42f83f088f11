"""Cutting a Llama-like decoder narrower: which axis of which tensor is which width, and the module that is left.

The table holds every tensor of the families that are known. One that is not in it is refused by name, and the narrower
module takes exactly the tensors that are left, so nothing is ever cut in half.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distbench.errors import RefusedError, UsageError

FAMILIES = frozenset({"llama", "mistral", "qwen2", "qwen3", "smollm3"})
HIDDEN, INNER, QUERY, KEY, WHOLE = "hidden", "inner", "query", "key", "whole"
BLOCK = r"model\.layers\.(?P<block>\d+)\."
TABLE = (
    (r"model\.embed_tokens\.weight|lm_head\.weight", (WHOLE, HIDDEN)),
    (r"model\.norm\.weight", (HIDDEN,)),
    (BLOCK + r"(input|post_attention)_layernorm\.weight", (HIDDEN,)),
    (BLOCK + r"self_attn\.q_proj\.weight", (QUERY, HIDDEN)),
    (BLOCK + r"self_attn\.[kv]_proj\.weight", (KEY, HIDDEN)),
    (BLOCK + r"self_attn\.q_proj\.bias", (QUERY,)),
    (BLOCK + r"self_attn\.[kv]_proj\.bias", (KEY,)),
    (BLOCK + r"self_attn\.o_proj\.weight", (HIDDEN, QUERY)),
    (BLOCK + r"self_attn\.[qk]_norm\.weight", (WHOLE,)),
    (BLOCK + r"mlp\.(gate|up)_proj\.weight", (INNER, HIDDEN)),
    (BLOCK + r"mlp\.(gate|up)_proj\.bias", (INNER,)),
    (BLOCK + r"mlp\.down_proj\.weight", (HIDDEN, INNER)),
    (BLOCK + r"(self_attn\.o|mlp\.down)_proj\.bias", (HIDDEN,)),
)


@dataclass(frozen=True)
class KeptInside:
    """What stays inside a block: indices of MLP neurons, query heads, and key/value heads; each sorted."""

    neurons: list[int]
    heads: list[int]
    groups: list[int]


@dataclass(frozen=True)
class Kept:
    """What stays of a decoder: channels of the residual stream, and what is inside each block."""

    channels: list[int]
    blocks: Sequence[KeptInside]


@dataclass(frozen=True)
class Widths:
    """The widths of a decoder; `groups` is its number of key/value heads."""

    hidden: int
    inner: int
    heads: int
    groups: int
    head_dim: int

    @classmethod
    def of(cls, config: dict[str, Any]) -> Widths:
        """Read a configuration. Raises RefusedError for a family that is not known."""
        family = config.get("model_type")
        if family not in FAMILIES:
            raise RefusedError(f"width-prune knows the layout of {', '.join(sorted(FAMILIES))}, not of {family!r}")
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        return cls(
            hidden,
            config["intermediate_size"],
            heads,
            config.get("num_key_value_heads") or heads,
            config.get("head_dim") or hidden // heads,
        )

    def fields(self) -> dict[str, int]:
        """Return the fields of a configuration. The size of a head stands in it: it is no quotient any more."""
        return {
            "hidden_size": self.hidden,
            "intermediate_size": self.inner,
            "num_attention_heads": self.heads,
            "num_key_value_heads": self.groups,
            "head_dim": self.head_dim,
        }


def narrowed(module: Any, widths: Widths, kept: Kept) -> Any:
    """Return a new module of these widths that holds what is kept of `module`'s tensors, in the same dtype.

    Raises RefusedError for a tensor that is not known, UsageError for widths that the family cannot have.
    """
    old = Widths.of(module.config.to_dict())
    tensors = {name: _cut(name, tensor, old, kept) for name, tensor in module.state_dict().items()}
    try:
        config = type(module.config).from_dict(module.config.to_dict() | widths.fields())
    except Exception as error:  # the library's own words: each family has its own rules
        raise UsageError(f"width-prune: {type(module).__name__} cannot have these widths ({_line(error)})") from error
    made = type(module)._from_config(config, dtype=module.dtype)  # noqa: SLF001 - also for classes of a checkpoint
    try:
        made.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise RefusedError(f"width-prune: {type(module).__name__} has another layout ({_line(error)})") from error
    made.tie_weights()
    return made


def _cut(name: str, tensor: Any, old: Widths, kept: Kept) -> Any:
    import torch

    axes, block = _axes(name)
    lengths = {HIDDEN: old.hidden, INNER: old.inner, QUERY: old.heads * old.head_dim, KEY: old.groups * old.head_dim}
    for axis, width in enumerate(axes):
        if width == WHOLE:
            continue
        if tensor.shape[axis] != lengths[width]:
            raise RefusedError(f"width-prune: {name} is {list(tensor.shape)}; {width} should be {lengths[width]}")
        index = torch.tensor(_indices(width, kept, block, old.head_dim), device=tensor.device)
        tensor = tensor.index_select(axis, index)
    return tensor


def _axes(name: str) -> tuple[tuple[str, ...], int]:
    for pattern, axes in TABLE:
        if found := re.fullmatch(pattern, name):
            return axes, int(found.groupdict().get("block") or 0)
    raise RefusedError(f"width-prune: the tensor {name} is not one of the known layout; nothing was cut")


def _indices(width: str, kept: Kept, block: int, head_dim: int) -> list[int]:
    if width == HIDDEN:
        return kept.channels
    inside = kept.blocks[block]
    if width == INNER:
        return inside.neurons
    heads = inside.heads if width == QUERY else inside.groups
    return [head * head_dim + i for head in heads for i in range(head_dim)]


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200]
