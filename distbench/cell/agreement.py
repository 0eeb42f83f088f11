"""Does an exported model say what its source says? A fast runtime that says something else is a failure.

Both are asked through the verbs of `protocols.Language`, on the host: nothing here knows what runs them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, takewhile
from typing import Any, Literal

import numpy as np
import scipy
from numpy.typing import NDArray

from distbench.data.haystack import sentences
from distbench.errors import RunError
from distbench.schema.record import Agreement

PROMPTS = 4
PROMPT_TOKENS = 24
GREEDY_TOKENS = 32  # of each prompt
LEAST_TOP1 = 0.99  # of an exact export; float32 kernels that sum in another order turn near ties only
MOST_KL = 0.01  # nats per position


@dataclass(frozen=True)
class Prompts:
    """What both models are asked: token ids."""

    ids: list[list[int]]
    kind: Literal["text", "random tokens"]


@dataclass(frozen=True)
class Said:
    """A model's greedy tokens after a prompt, and its logits [prompt + tokens, vocabulary] over both."""

    tokens: list[int]
    logits: NDArray[np.float32]


def prompts_for(model: Any, seed: int) -> Prompts:
    """Return seeded prompts: sentences where the model has a tokenizer, else random ids below its vocabulary."""
    longest = max(1, min(PROMPT_TOKENS, model.context_length - GREEDY_TOKENS))
    if model.tokenizer is None:
        size = model.logits([0]).shape[1]
        drawn = np.random.default_rng(seed).integers(0, size, (PROMPTS, longest))
        return Prompts(drawn.tolist(), "random tokens")
    texts = (" ".join(islice(sentences(random.Random(f"{seed} {i}")), 8)) for i in range(PROMPTS))  # noqa: S311
    return Prompts([list(model.tokenizer(text)["input_ids"])[:longest] for text in texts], "text")


def listen(model: Any, prompts: Sequence[list[int]]) -> list[Said]:
    """Return what the source says after each prompt."""
    said = []
    for ids in prompts:
        tokens = model.continue_greedily(ids, GREEDY_TOKENS)
        said.append(Said(tokens, model.logits([*ids, *tokens])))
    return said


def agreement_of(prompts: Prompts, expected: Sequence[Said], model: Any, *, exact: bool) -> Agreement:
    """Compare an exported model with what its source said; raises RunError where it computes no numbers."""
    equal, firsts, kls, same, largest = 0, [], [], [], 0.0
    for ids, source in zip(prompts.ids, expected, strict=True):
        tokens = model.continue_greedily(ids, len(source.tokens))
        shared = _shared(source.tokens, tokens)
        equal += shared
        firsts += [shared] if shared < len(source.tokens) else []
        logits = _checked(model.logits([*ids, *source.tokens]), source.logits)
        kls.append(kl_of_logits(source.logits, logits))
        same.append(source.logits.argmax(axis=1) == logits.argmax(axis=1))
        largest = max(largest, float(np.abs(source.logits - logits).max()))
    kl = np.concatenate(kls)
    return Agreement(
        prompts=len(expected),
        prompt_kind=prompts.kind,
        exact=exact,
        greedy_equal=equal,
        greedy_total=sum(len(source.tokens) for source in expected),
        first_divergence=min(firsts, default=None),
        positions=len(kl),
        top1=float(np.concatenate(same).mean()),
        kl=float(kl.mean()),
        largest_difference=largest,
    )


def refuse_disagreement(found: Agreement, title: str) -> None:
    """Raise RunError where an export that should be exact is not."""
    if found.exact and (found.top1 < LEAST_TOP1 or found.kl > MOST_KL):
        raise RunError(
            f"{title}: the export says something else: {found.greedy_equal} of {found.greedy_total} greedy tokens "
            f"equal, top-1 agreement {found.top1:.1%}, KL {found.kl:.3g} nats per token (allowed: "
            f"{LEAST_TOP1:.0%}, {MOST_KL})"
        )


def kl_of_logits(source: NDArray[np.float32], export: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return KL(source ‖ export) of each row of logits [n, vocabulary], in nats, summed in float64."""
    p, q = (scipy.special.log_softmax(logits.astype(np.float64), axis=1) for logits in (source, export))
    total: NDArray[np.float64] = (np.exp(p) * (p - q)).sum(axis=1)
    return total


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


def _checked(logits: Any, like: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = np.asarray(logits, dtype=np.float32)
    if found.shape != like.shape:
        raise RunError(f"the export gives logits of shape {list(found.shape)}, its source {list(like.shape)}")
    if not np.isfinite(found).all():
        raise RunError("the export computes NaN or infinite logits")
    return found
