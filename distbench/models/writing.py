"""The verb `write` of models that run here: see `distbench.protocols.Writer`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from distbench.data.text_prompts import prompt_ids
from distbench.errors import UsageError
from distbench.protocols import Asked, Sampling, Written


class WritesByLogits:
    """Gives a class that has the verbs of `Language` the verb `write`, one answer after the other."""

    tokenizer: Any
    ends: frozenset[int]
    context_length: int
    logits: Any
    continue_greedily: Any

    def write(self, asked: Sequence[Asked], sampling: Sampling) -> list[Written]:
        """Return an answer to each prompt. A drawn one computes its whole text anew for each token."""
        prompts = prompts_of(self, asked, sampling)
        return [
            written(self.tokenizer, self.ends, prompt, self._continue(prompt, one.seed, sampling))
            for one, prompt in zip(asked, prompts, strict=True)
        ]

    def _continue(self, prompt: list[int], seed: int, sampling: Sampling) -> list[int]:
        if sampling.temperature == 0.0:
            found: list[int] = self.continue_greedily(prompt, sampling.most, lambda tokens: tokens[-1] in self.ends)
            return found
        tokens: list[int] = []
        for level in levels(seed, sampling.most):
            scaled = np.asarray(self.logits([*prompt, *tokens])[-1], dtype=np.float64) / sampling.temperature
            steps = np.exp(scaled - scaled.max()).cumsum()
            tokens.append(min(int(np.searchsorted(steps, level * steps[-1], side="right")), len(steps) - 1))
            if tokens[-1] in self.ends:
                break
        return tokens


def prompts_of(model: Any, asked: Sequence[Asked], sampling: Sampling) -> list[list[int]]:
    """Return the prompts as tokens.

    Raises UsageError for one that leaves no room in the model's context, and for what only a server can tell.
    """
    if sampling.top_logprobs:
        raise UsageError("top_logprobs is for a served teacher; one that runs here tells all of its distribution")
    prompts = [prompt_ids(model.tokenizer, one.prompt) for one in asked]
    longest = max(map(len, prompts), default=0)
    if longest + sampling.most > model.context_length:
        raise UsageError(
            f"a prompt of {longest} tokens and max_new_tokens: {sampling.most} are more than the teacher's context of "
            f"{model.context_length}"
        )
    return prompts


def levels(seed: int, count: int) -> Any:
    """Return `count` numbers between 0 and 1 to draw tokens at, float64."""
    return np.random.default_rng(seed).random(count)


def written(tokenizer: Any, ends: frozenset[int], prompt: Sequence[int], tokens: Sequence[int]) -> Written:
    """Return tokens as an answer."""
    ended = bool(tokens) and tokens[-1] in ends
    text = str(tokenizer.decode(list(tokens[:-1] if ended else tokens), skip_special_tokens=True))
    return Written(text, ended, tuple(tokens), len(prompt), len(tokens))
