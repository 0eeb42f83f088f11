"""lm-eval's own Hugging Face model around a model that distbench has loaded, with the shared-prefix scorer inside."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from distbench.errors import RunError
from distbench.hashing import text_digest
from distbench.scoring.requests import request_of
from distbench.scoring.scorer import Check, NotHonouredError, SharedPrefixScorer

Progressed = Callable[[int, int], None]
ScorerName = Literal["auto", "shared-prefix", "hf"]
Encoded = list[tuple[tuple[str, str], list[int], list[int]]]
OWN_BATCH = 32  # windows of a rolling log-likelihood that lm-eval's own scorer runs at once


@dataclass
class ScorerState:
    """Which scorer answers, why, and what its check saw. One object a model; it outlives single tasks."""

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
            return None
        self.check = scores.check if self.check is None else self.check.merged(scores.check)
        self.tokens_asked += scores.tokens_asked
        self.tokens_run += scores.tokens_run
        return [(answer.logprob, answer.greedy) for answer in scores.answers]


def scorer_for(model: Any, wanted: ScorerName = "auto") -> ScorerState:
    """Return a model's scorer; the model keeps it, so that its first check counts for every later task."""
    kept: dict[str, ScorerState] = model.__dict__.setdefault("_scorers", {})
    if wanted not in kept:
        fast = None if wanted == "hf" else SharedPrefixScorer(model.module)
        kept[wanted] = ScorerState(wanted, "asked for" if wanted == "hf" else None, fast)
    state = kept[wanted]
    state.check, state.tokens_asked, state.tokens_run = None, 0, 0
    return state


def language_model(
    model: Any,
    batch_size: int,
    progress: Progressed,
    state: ScorerState | None = None,
    tokenised: dict[str, Encoded] | None = None,
) -> Any:
    """Return an HFLM that asks `model`, reports requests done, and shares prefixes where the model allows it.

    `tokenised` keeps encoded requests by tokenizer, so that a second model with the same tokenizer skips that work.
    `max_length` is always given: a tokenizer's model_max_length can be 10^30.
    """
    limit = int(getattr(model.module.config, "max_position_embeddings", 2048))
    lm = _watched()(pretrained=model.module, tokenizer=model.tokenizer, batch_size=batch_size, max_length=limit)
    lm.state, lm.progress, lm.tokenised = state or scorer_for(model), progress, tokenised
    return lm


@functools.cache
def _watched() -> type[Any]:
    """Return the class; lm-eval is imported when it is first needed."""
    from lm_eval.models.huggingface import HFLM

    class Watched(HFLM):  # type: ignore[misc]
        """HFLM with our scorer in front of its own, progress, and tokens that are kept for the next model."""

        state: ScorerState
        progress: Progressed
        tokenised: dict[str, Encoded] | None
        batch_size_per_gpu: int
        done = total = 0

        def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
            key = tokenizer_digest(self.tokenizer)
            if self.tokenised is not None and key in self.tokenised:
                return self._loglikelihood_tokens(self.tokenised[key])
            return super().loglikelihood(requests, disable_tqdm=True)

        def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = True) -> Any:
            # HFLM scores windows batch by batch; all at once is one call, and one check, of the shared-prefix scorer
            size = self.batch_size_per_gpu
            self.batch_size_per_gpu = size if self.state.fast is None else sys.maxsize
            try:
                return super().loglikelihood_rolling(requests, disable_tqdm=True)
            finally:
                self.batch_size_per_gpu = size

        def _loglikelihood_tokens(self, requests: Any, *args: Any, **kwargs: Any) -> Any:
            self.done, self.total = 0, len(requests)
            if self.tokenised is not None and requests and requests[0][0] is not None:
                self.tokenised.setdefault(tokenizer_digest(self.tokenizer), list(requests))
            answers = self.state.score(requests, self.max_length, self.progress)
            if answers is None:
                size = min(self.batch_size_per_gpu, OWN_BATCH) if "override_bs" in kwargs else None
                answers = super()._loglikelihood_tokens(requests, disable_tqdm=True, override_bs=size)
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

    return Watched


def tokenizer_digest(tokenizer: Any) -> str:
    """Return what decides a tokenizer's output: its whole definition, computed once per object."""
    kept = tokenizer.__dict__.get("_distbench_digest")
    if kept is None:
        backend = getattr(tokenizer, "backend_tokenizer", None)
        definition = backend.to_str() if backend is not None else repr(sorted(tokenizer.get_vocab().items()))
        kept = tokenizer.__dict__["_distbench_digest"] = text_digest(
            [definition, repr(tokenizer.special_tokens_map), type(tokenizer).__name__]
        )
    return str(kept)
