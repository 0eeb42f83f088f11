"""A transformers decoder as a plain function of tensors: its key-value cache comes in and goes out."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from distbench.errors import RefusedError

SHOWN = 8  # tokens of the example that is traced; its length stays symbolic
PAST = 5
BATCH = 2


class CachedDecoder(nn.Module):
    """(tokens [b, n], rows [m], key and value of each layer [b, heads, past, size]) → (logits [b, m, v], new cache).

    Positions and the causal mask are computed here from the shapes: an exporter has no configuration to misread. There
    is no padding: a batch has prompts of one length.
    """

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module

    def forward(self, tokens: torch.Tensor, rows: torch.Tensor, *past: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Run the decoder over `tokens`, which follow `past`."""
        seen, new = past[0].shape[2], tokens.shape[1]
        positions = torch.arange(new, device=tokens.device) + seen
        visible = torch.arange(seen + new, device=tokens.device)[None, :] <= positions[:, None]
        # additive and in float32: every attention kernel takes it as it is
        mask = torch.where(visible, 0.0, torch.finfo(torch.float32).min)[None, None].expand(tokens.shape[0], 1, -1, -1)
        cache = _Appended(past)
        out = self.module(
            input_ids=tokens,
            attention_mask=mask,
            position_ids=positions[None, :],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=rows,
        )
        return (out.logits, *cache.parts)


class _Appended:
    """What a decoder asks of its cache, with nothing but one concatenation a tensor.

    transformers' own starts every layer with an empty vector of one dimension, which a tracer takes literally.
    """

    is_compileable = False

    def __init__(self, past: tuple[torch.Tensor, ...]) -> None:
        self.parts = list(past)

    def get_seq_length(self, layer: int = 0) -> int:
        """Return the number of positions before this call; a symbol where the caller traces."""
        return self.parts[2 * layer].shape[2]

    def update(
        self, key: torch.Tensor, value: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Append keys and values [batch, heads, new, size] of a layer; return all of them."""
        joined = (torch.cat([self.parts[2 * layer], key], dim=2), torch.cat([self.parts[2 * layer + 1], value], dim=2))
        self.parts[2 * layer : 2 * layer + 2] = joined
        return joined


def cache_shape(module: Any) -> tuple[int, int, int]:
    """Return (layers, key-value heads, size of a head), read from a real cache rather than from the configuration.

    Raises RefusedError where layers keep different caches, or only a window of the text.
    """
    with torch.inference_mode():
        cache = module(torch.zeros((1, 2), dtype=torch.long), use_cache=True).past_key_values
    layers = list(getattr(cache, "layers", []))
    if not layers or any(type(layer).__name__ != "DynamicLayer" for layer in layers):
        kinds = sorted({type(layer).__name__ for layer in layers}) or [type(cache).__name__]
        raise RefusedError(
            f"{type(module).__name__} keeps its cache in {', '.join(kinds)}; only full attention in every layer can be "
            "exported"
        )
    shapes = {tuple(part.shape) for layer in layers for part in (layer.keys, layer.values)}
    if len(shapes) > 1:
        raise RefusedError(f"{type(module).__name__}: keys and values differ in shape from layer to layer: {shapes}")
    _, heads, _, size = shapes.pop()
    return len(layers), heads, size


def example(module: Any, shape: tuple[int, int, int]) -> tuple[torch.Tensor, ...]:
    """Return inputs of `CachedDecoder.forward` to trace it with: no dimension is 1, which a tracer would fix."""
    layers, heads, size = shape
    vocabulary = int(module.get_input_embeddings().num_embeddings)
    tokens = torch.arange(BATCH * SHOWN).reshape(BATCH, SHOWN) % vocabulary
    past = [torch.zeros(BATCH, heads, PAST, size) for _ in range(2 * layers)]
    return (tokens, torch.arange(SHOWN - 2), *past)
