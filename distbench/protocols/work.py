"""One unit of inference work: how large it is, and when its outputs were known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shape:
    """How large one unit of inference work is. Token counts mean nothing to a model that answers at once."""

    batch: int = 1
    prompt_tokens: int = 64
    output_tokens: int = 32


@dataclass(frozen=True)
class Timing:
    """One finished unit of work. marks_ns: when each of its outputs was known, ns after its start, ascending.

    A model that answers at once has one mark. Token counts are sums over the batch; None where there are no tokens.
    """

    marks_ns: tuple[int, ...]
    samples: int
    prompt_tokens: int | None = None
    output_tokens: int | None = None


Work = Callable[[], Timing]
"""Does one unit of work. The device has finished when it returns."""


@dataclass(frozen=True)
class Decoded:
    """What `decode` returns: token ids [batch, n], and ns from the start to the moment each column was known, [n].

    A server sends pieces of text instead of ids: `tokens` is None, `lengths` says how many tokens each prompt got
    [batch], and the marks are arrivals of pieces, of which one may hold several tokens. For a batch, mark k is the
    moment when every prompt had its k-th piece (or its last). `prompt_tokens` is what the server counted, over the
    batch; None where it does not tell.
    """

    tokens: Any
    marks_ns: tuple[int, ...]
    lengths: tuple[int, ...] | None = None
    prompt_tokens: int | None = None
