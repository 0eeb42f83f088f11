"""Requests too long to share a row under some architectures: short ones would pass every check, longer ones not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distbench.scoring.requests import NotHonouredError

WINDOWS = ("sliding_window", "attention_chunk_size", "window_size")  # what configurations call an attention window
LOCAL = ("sliding", "chunked", "local")  # kinds of layers that have one
STRETCHED = ("dynamic", "longrope")  # rotary embeddings whose frequencies follow the longest sequence of a batch


def refuse_by_length(config: Any, longest: int) -> None:
    """Raise NotHonouredError where a request of `longest` tokens is beyond what a mask and positions can say."""
    config = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
    window = attention_window(config)
    if window is not None and longest > window:
        raise NotHonouredError(f"its attention window of {window} tokens is shorter than a request of {longest}")
    for rope in _ropes(config):
        limit = rope.get("original_max_position_embeddings") or getattr(config, "max_position_embeddings", None)
        if rope.get("rope_type") in STRETCHED and limit is not None and longest > limit:
            raise NotHonouredError(
                f"its rotary embedding ({rope['rope_type']}) changes for every sequence of a batch that holds a "
                f"request of more than {limit} tokens; this one has {longest}"
            )


def attention_window(config: Any) -> int | None:
    """Return how many tokens the most short-sighted layers see; None where every layer sees all.

    Our 4-D mask replaces the window, so a longer request would be answered by another model.
    """
    kinds = getattr(config, "layer_types", None) or getattr(config, "attention_layers", None)
    if kinds and not any(word in str(kind) for kind in kinds for word in LOCAL):
        return None
    if not kinds and not getattr(config, "use_sliding_window", True):
        return None
    sizes = [getattr(config, name, None) for name in WINDOWS]
    return min((size for size in sizes if isinstance(size, int) and size > 0), default=None)


def _ropes(config: Any) -> Iterator[Mapping[str, Any]]:
    """Yield the rotary parameters: one set, or one a kind of layer."""
    found = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None)
    if isinstance(found, Mapping):
        yield found
        yield from (each for each in found.values() if isinstance(each, Mapping))
