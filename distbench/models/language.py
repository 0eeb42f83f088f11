"""Verbs of a language model that follow from its logits: see `distbench.protocols.Language`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray


class ScoresByLogits:
    """Gives a class that has `logits` the verb `score`."""

    logits: Any

    def score(self, context: Sequence[int], continuation: Sequence[int]) -> tuple[float, bool]:
        """Return the log-probability of `continuation` after `context` in nats, and whether it is the greedy one."""
        rows = self.logits([*context, *continuation][:-1])[len(context) - 1 :]
        return scored(rows, continuation)


def scored(rows: NDArray[np.float32], continuation: Sequence[int]) -> tuple[float, bool]:
    """Return (log-probability in nats, is it greedy) of tokens by the logits [n, vocabulary] that predict them."""
    # float64: a long continuation sums many terms
    logp = scipy.special.log_softmax(rows.astype(np.float64), axis=-1)[np.arange(len(continuation)), list(continuation)]
    return float(logp.sum()), bool((rows.argmax(axis=-1) == np.asarray(continuation)).all())
