"""What is scored: a sequence of tokens of which the last few are predicted from those before them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int32]


class NotHonouredError(Exception):
    """This model cannot be scored with shared prefixes; the text says why."""


@dataclass(frozen=True)
class Request:
    """One scored sequence.

    Attributes:
        tokens: [L] what the model reads: everything but the last token.
        targets: [c] what is scored, 1 ≤ c ≤ L; target i is predicted at position L − c + i.
    """

    tokens: Tokens
    targets: Tokens

    @property
    def first(self) -> int:
        """Return the position that predicts the first target."""
        return len(self.tokens) - len(self.targets)


@dataclass(frozen=True)
class Answer:
    """Sum of the targets' log-probabilities (nats), and whether each is the most likely token at its place."""

    logprob: float
    greedy: bool


def request_of(context: Sequence[int] | Tokens, continuation: Sequence[int] | Tokens, limit: int) -> Request:
    """Return the request "`continuation` after `context`"; tokens on the left that exceed `limit` are cut off.

    The cut is lm-eval's: the last `limit` + 1 tokens stay, of which the last one is only predicted. Raises ValueError
    for an empty context or continuation, and for a continuation that does not fit.
    """
    if not len(context) or not len(continuation):
        raise ValueError("a request needs at least one token of context and one to score")
    if len(continuation) > limit:
        raise ValueError(f"a continuation of {len(continuation)} tokens does not fit a model of {limit} positions")
    whole = np.concatenate([np.asarray(part, dtype=np.int32) for part in (context, continuation)])[-(limit + 1) :]
    return Request(whole[:-1], whole[-len(continuation) :])
