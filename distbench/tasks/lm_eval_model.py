"""lm-eval's own Hugging Face model around a model that distbench has loaded, with the shared-prefix scorer inside."""

from __future__ import annotations

import functools
import itertools
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from distbench.errors import RunError
from distbench.hashing import text_digest
from distbench.scoring.requests import NotHonouredError, Tokens, request_of
from distbench.scoring.scorer import Check, SharedPrefixScorer

Progressed = Callable[[int, int], None]
ScorerName = Literal["auto", "shared-prefix", "hf"]
# ((context, continuation) or None for a window of a long text, their tokens); 4 bytes a token, not a Python object
Encoded = list[tuple[tuple[str, str] | None, Tokens, Tokens]]
UNSCORED = (math.nan, False)  # of a continuation without tokens, or with more than the model has positions
_unlike_any_other = itertools.count()


@dataclass
class ScorerState:
    """Which scorer answers, why, and what its check saw. One object a task: no cell depends on those before it."""

    wanted: ScorerName
    reason: str | None = None
    fast: SharedPrefixScorer | None = None
    check: Check | None = None
    tokens_asked: int = 0
    tokens_run: int = 0

    @property
    def name(self) -> Literal["shared-prefix", "hf"]:
        """Return what answered the last log-likelihood requests."""
        return "shared-prefix" if self.fast is not None and self.check is not None else "hf"

    def score(self, requests: Encoded, limit: int, progress: Progressed) -> list[tuple[float, bool]] | None:
        """Return the answers of the shared-prefix scorer; None where this model has to go without it."""
        if self.fast is None:
            return None
        try:
            scores = self.fast.score([request_of(context, target, limit) for _, context, target in requests], progress)
        except NotHonouredError as error:
            if self.wanted == "shared-prefix":
                raise RunError(f"scorer: shared-prefix is asked for, and this model cannot use it: {error}") from error
            self.fast, self.check, self.reason = None, None, str(error)
            self.tokens_asked = self.tokens_run = 0
            return None
        self.check = scores.check if self.check is None else self.check.merged(scores.check)
        self.tokens_asked += scores.tokens_asked
        self.tokens_run += scores.tokens_run
        return [(answer.logprob, answer.greedy) for answer in scores.answers]


def scorer_for(model: Any, wanted: ScorerName = "auto") -> ScorerState:
    """Return what will answer one task's log-likelihood requests."""
    if wanted == "hf":
        return ScorerState(wanted, "asked for")
    return ScorerState(wanted, None, SharedPrefixScorer(model.module))


def language_model(
    model: Any,
    batch_size: int,
    progress: Progressed,
    state: ScorerState | None = None,
    tokenised: dict[str, Encoded] | None = None,
) -> Any:
    """Return an HFLM that asks `model`, reports requests done, and shares prefixes where the model allows it.

    `tokenised` keeps encoded requests by tokenizer, so that a second model with the same tokenizer skips that work.
    `max_length` is always given: a tokenizer's model_max_length can be 10^30. The softmax is float32 whatever the
    model's dtype: in bfloat16 a log-probability has three digits, and choices tie.
    """
    lm = _watched()(
        pretrained=model.module,
        tokenizer=model.tokenizer,
        batch_size=batch_size,
        max_length=context_length(model.module.config),
        softmax_dtype="float32",
    )
    lm.state, lm.progress, lm.tokenised = state or scorer_for(model), progress, tokenised
    lm._recent = {}  # noqa: SLF001 - HFLM's constructor is left alone
    return lm


def context_length(config: Any) -> int:
    """Return how many positions a model has; 2048, as in lm-eval, where its configuration does not say."""
    config = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
    return int(getattr(config, "max_position_embeddings", None) or 2048)


_HFLM: Any = object  # lm-eval's class stands behind it once that is imported


class _Asked(_HFLM):  # type: ignore[misc]
    """HFLM with our scorer in front of its own, progress, and tokens that are kept for the next model."""

    state: ScorerState
    progress: Progressed
    tokenised: dict[str, Encoded] | None
    batch_size_per_gpu: int
    _own_batch = sys.maxsize
    _recent: dict[Any, list[int]]
    done = total = 0

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        # an empty text has no token to score, and stock code would stop at it
        texts = [request for request in requests if request.args[1]]
        kept = {} if self.tokenised is None else self.tokenised
        key = f"{tokenizer_digest(self.tokenizer)} {self.add_bos_token} {self.prefix_token_id}"
        if key not in kept:
            self._encoded: Encoded = []
            super().loglikelihood(texts, disable_tqdm=True)
            kept[key] = self._encoded
        answers = iter(self._answered(kept[key]))
        return [next(answers) if request.args[1] else UNSCORED for request in requests]

    def tok_encode(self, string: str, *args: Any, **kwargs: Any) -> Any:
        # a document's choices come one after the other, and stock code encodes their context again for each
        key = (string, args, tuple(kwargs.items()))
        found = self._recent.pop(key, None)
        self._recent[key] = super().tok_encode(string, *args, **kwargs) if found is None else found
        if len(self._recent) > 2:
            del self._recent[next(iter(self._recent))]
        return self._recent[key]

    def _loglikelihood_tokens(self, requests: Any, *args: Any, **kwargs: Any) -> Any:
        """Take what stock code has encoded. Windows of a long text are answered, pairs are kept for `_answered`."""
        encoded = [(pair, _compact(context), _compact(target)) for pair, context, target in requests]
        if encoded and encoded[0][0] is None:
            return self._answered(encoded)
        self._encoded = encoded
        return [UNSCORED] * len(encoded)

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = True) -> Any:
        # HFLM hands windows over batch by batch; all at once is one call, and one check, of our scorer
        self._own_batch, self.batch_size_per_gpu = self.batch_size_per_gpu, sys.maxsize
        try:
            return super().loglikelihood_rolling(requests, disable_tqdm=True)
        finally:
            self.batch_size_per_gpu = self._own_batch

    def _answered(self, requests: Encoded) -> list[tuple[float, bool]]:
        good = [request for request in requests if self._fits(request)]
        self.done, self.total = 0, len(good)
        answers = self.state.score(good, self.max_length, self.progress)
        if answers is None:
            answers = self._stock([(pair, context.tolist(), target.tolist()) for pair, context, target in good])
        taken = iter(answers)
        return [next(taken) if self._fits(request) else UNSCORED for request in requests]

    def _fits(self, request: tuple[Any, Tokens, Tokens]) -> bool:
        _, context, target = request
        return len(context) > 0 and 0 < len(target) <= self.max_length

    def _stock(self, requests: Any) -> list[tuple[float, bool]]:
        size, self.batch_size_per_gpu = self.batch_size_per_gpu, min(self.batch_size_per_gpu, self._own_batch)
        try:
            answers = list(super()._loglikelihood_tokens(requests, disable_tqdm=True)) if requests else []
        finally:
            self.batch_size_per_gpu = size
        self.progress(self.total, self.total)  # stock code asks equal requests once
        return answers

    def _model_call(self, inps: Any, *args: Any, **kwargs: Any) -> Any:
        out = super()._model_call(inps, *args, **kwargs)
        self._count(inps)
        return out

    def _model_generate(self, context: Any, *args: Any, **kwargs: Any) -> Any:
        out = super()._model_generate(context, *args, **kwargs)
        self._count(context)
        return out

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
        self.done, self.total = 0, len(requests)
        return super().generate_until(requests, disable_tqdm=True)

    def _count(self, batch: Any) -> None:
        self.done = min(self.total, self.done + batch.shape[0])
        self.progress(self.done, self.total)


@functools.cache
def _watched() -> type[Any]:
    """Return the class; lm-eval is imported when it is first needed."""
    from lm_eval.models.huggingface import HFLM

    return type("Watched", (_Asked, HFLM), {})


def _compact(tokens: Sequence[int]) -> Tokens:
    return np.asarray(tokens, dtype=np.int32)


def tokenizer_digest(tokenizer: Any) -> str:
    """Return what decides a tokenizer's output: its whole definition, computed once per object.

    A tokenizer that does not show its definition equals no other.
    """
    kept = tokenizer.__dict__.get("_distbench_digest")
    if kept is None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        definition = backend.to_str() if backend is not None else f"object {next(_unlike_any_other)}"
        kept = tokenizer.__dict__["_distbench_digest"] = text_digest(
            [definition, repr(tokenizer.special_tokens_map), type(tokenizer).__name__]
        )
    return str(kept)
