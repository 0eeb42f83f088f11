"""How much smaller, always with the kind of size."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

# The kinds of size, in the order of a report; the first is the headline: it holds for quantised models and trees too.
KINDS = (
    "bytes_on_disk",
    "params_unique",
    "params_non_embedding",
    "params_active",
    "resident_memory",
    "flops_per_token",
)


def compression_ratio(teacher: float, student: float) -> float:
    """Return teacher ÷ student of one kind of size, > 1 = smaller student. Raises `ValueError` unless both > 0."""
    if not (0 < teacher < math.inf and 0 < student < math.inf):
        raise ValueError(f"sizes must be positive and finite, not {teacher} and {student}")
    return teacher / student


def compression_ratios(
    teacher: Mapping[str, float | None], student: Mapping[str, float | None]
) -> dict[str, float | None]:
    """Return the ratio of each kind of size; None where a side does not have the kind or did not measure it.

    Raises `ValueError` for a kind outside `KINDS`.
    """
    unknown = (teacher.keys() | student.keys()) - set(KINDS)
    if unknown:
        raise ValueError(f"unknown kinds of size {sorted(unknown)}; known: {', '.join(KINDS)}")
    ratios: dict[str, float | None] = {}
    for kind in KINDS:
        big, small = teacher.get(kind), student.get(kind)
        ratios[kind] = None if big is None or small is None else compression_ratio(big, small)
    return ratios


def flops_per_token(
    linear_parameters: int,
    *,
    vocabulary: int,
    width: int,
    layers: int,
    sequence_length: int,
    attention_width: int | None = None,
) -> int:
    """Return floating-point operations a token of a decoder's forward pass, 2·N_linear + 2·V·d + 4·L·T·d_attn.

    `linear_parameters` N counts the weights of the linear layers without embedding and head; `attention_width`
    (default: `width`) is query heads × head size. Full attention over T positions, eager, no causal skipping: what
    torch's FlopCounterMode counts, divided by T. Multiply–add counts as two.
    """
    attention = width if attention_width is None else attention_width
    return 2 * linear_parameters + 2 * vocabulary * width + 4 * layers * sequence_length * attention


@dataclass(frozen=True)
class ParameterCount:
    """Parameters of a model: `unique` counts tied tensors once, `state_dict_sum` each time they are named."""

    unique: int
    state_dict_sum: int
    embedding: int

    @property
    def non_embedding(self) -> int:
        """Unique parameters outside the token and position embeddings."""
        return self.unique - self.embedding


def gpt2_parameters(*, layers: int, width: int, vocabulary: int, context: int) -> ParameterCount:
    """Return the parameters of a GPT-2 language model (Radford 2019), its head tied to the embedding."""
    # Attention 4d² + 4d, feed-forward 8d² + 5d, two norms 4d.
    block = 12 * width**2 + 13 * width
    embedding = (vocabulary + context) * width
    unique = embedding + layers * block + 2 * width
    return ParameterCount(unique, unique + vocabulary * width, embedding)


def llama_linear_parameters(
    *, layers: int, width: int, feed_forward: int, query_width: int, key_value_width: int
) -> int:
    """Return the weights in the linear layers of a Llama-like decoder, without embedding and head.

    `query_width` = query heads × head size, `key_value_width` = key-value heads × head size.
    """
    attention = 2 * width * query_width + 2 * width * key_value_width
    return layers * (attention + 3 * width * feed_forward)
