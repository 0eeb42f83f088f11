"""What a language model needs beside its weights while it works: logits, and the key-value cache of its texts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from distbench.plan.estimates.shape import BYTES, Size, Sizes
from distbench.plan.estimates.similar import Similar
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, ModelRef

BATCH = 32  # requests at once where a task does not say: that of lm-eval tasks
TOKENS = 64  # of a request, where nobody has counted
REQUESTS = 2  # of a sample at least: its choices
COPIES = 2  # of logits: as they come, and as log-probabilities; float32


def working_bytes(cell: MakeCell | EvaluateCell | MeasureCell, signature: str, sizes: Sizes, similar: Similar) -> float:
    """Return the bytes of logits and caches of all models that work at once; 0 for what is no language model."""
    if isinstance(cell, MakeCell):
        return 0.0  # a training's activations are in the share beside what it keeps
    if isinstance(cell, MeasureCell):
        shapes = [(batch, tokens) for options in cell.meters.values() for batch, tokens in _measured(options)]
        return sum(max((_one(ref, sizes, cell.settings.dtype, *shape) for shape in shapes), default=0.0)
                   for ref in cell.models)  # fmt: skip
    batch = cell.task.options.get("batch_size", BATCH)
    counted = similar.tokens(signature)
    tokens = counted / REQUESTS if counted else TOKENS
    return _one(cell.model, sizes, cell.settings.dtype, batch if isinstance(batch, int) else BATCH, tokens)


def _measured(options: Mapping[str, Any]) -> Iterator[tuple[int, float]]:
    """Yield (batch, tokens of each text) of a meter's workloads."""
    tokens = float(options.get("prompt_tokens", 0)) + float(options.get("output_tokens", 0))
    for batch in options.get("batch_sizes") or [1]:
        if tokens and isinstance(batch, int):
            yield batch, tokens


def _one(ref: ModelRef, sizes: Sizes, dtype: str, batch: int, tokens: float) -> float:
    size: Size | None = sizes.of(ref)
    if size is None:
        return 0.0
    logits = (size.vocabulary or 0) * 4 * COPIES
    return batch * tokens * (logits + (size.cache_per_token or 0) * BYTES.get(dtype, 4))
