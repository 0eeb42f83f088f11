"""The lm-eval model around a model that distbench has loaded.

For a torch module it is lm-eval's own Hugging Face model, with the shared-prefix scorer inside.
"""

from __future__ import annotations

import functools
import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from distbench.errors import RunError
from distbench.protocols.batches import Batch
from distbench.scoring.requests import NotHonouredError, request_of
from distbench.scoring.scorer import Check, SharedPrefixScorer
from distbench.tasks.lm_eval_encoded import Asked, Encoded, Progressed
from distbench.tasks.lm_eval_served import served_model
from distbench.tasks.lm_eval_tokens import token_model

ScorerName = Literal["auto", "shared-prefix", "hf"]


@dataclass
class ScorerState:
    """Which scorer answers, why, and what its check saw. One object a task: no cell depends on those before it."""

    wanted: ScorerName
    reason: str | None = None
    fast: SharedPrefixScorer | None = None
    check: Check | None = None
    tokens_asked: int = 0
    tokens_run: int = 0
    runtime: bool = False  # another runtime than torch computes and scores

    @property
    def name(self) -> Literal["shared-prefix", "hf", "runtime"]:
        """Return what answered the last log-likelihood requests."""
        if self.runtime:
            return "runtime"
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
    if "causal-lm" not in model.offers:
        if wanted != "auto":
            raise RunError(f"scorer: {wanted} is asked for, and {type(model).__name__} has no torch module")
        return ScorerState(wanted, runtime=True)
    if wanted == "hf":
        return ScorerState(wanted, "asked for")
    return ScorerState(wanted, None, SharedPrefixScorer(model.module))


def language_model(
    model: Any,
    batch_size: int,
    progress: Progressed,
    state: ScorerState | None = None,
    tokenised: dict[str, Encoded] | None = None,
    *,
    chat: bool = False,
) -> Any:
    """Return an lm-eval model that asks `model` and reports requests done.

    A torch module stands behind an HFLM, and shares prefixes where it allows that; any other runtime is asked through
    the verbs of `protocols.Language`. `tokenised` keeps encoded requests by tokenizer, so that a second model with the
    same tokenizer skips that work. `chat`: prompts are conversations, for a server that applies its own template.
    `max_length` is always given: a tokenizer's model_max_length can be 10^30. The
    softmax is float32 whatever the model's dtype: in bfloat16 a log-probability has three digits, and choices tie.
    """
    state = state or scorer_for(model)
    if "language" not in model.offers:
        return served_model(model, progress, chat=chat)
    if state.runtime:
        return token_model(model, progress, tokenised)
    lm = _watched()(
        pretrained=model.module,
        tokenizer=model.tokenizer,
        batch_size=batch_size,
        max_length=context_length(model.module.config),
        softmax_dtype="float32",
    )
    lm.state, lm.progress, lm.tokenised = state, progress, tokenised
    lm.batch = Batch(batch_size, "requests")
    return lm


def context_length(config: Any) -> int:
    """Return how many positions a model has; 2048, as in lm-eval, where its configuration does not say."""
    config = config.get_text_config(decoder=True) if hasattr(config, "get_text_config") else config
    return int(getattr(config, "max_position_embeddings", None) or 2048)


class _OnModule(Asked):
    """HFLM with our scorer in front of its own, progress, and tokens that are kept for the next model."""

    state: ScorerState
    batch: Batch  # of what stock code computes
    batch_size_per_gpu: int  # what stock code takes it from
    cache_hook: Any

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = True) -> Any:
        # HFLM hands windows over batch by batch; all at once is one call, and one check, of our scorer
        self.batch_size_per_gpu = sys.maxsize
        try:
            return super().loglikelihood_rolling(requests, disable_tqdm=True)
        finally:
            self.batch_size_per_gpu = self.batch.size

    def _scored(self, requests: Encoded) -> list[tuple[float, bool]]:
        answers = self.state.score(requests, self.max_length, self.progress)
        if answers is None:
            return self._stock([(pair, context.tolist(), target.tolist()) for pair, context, target in requests])
        return answers

    def _stock(self, requests: Any) -> list[tuple[float, bool]]:
        ask = super(Asked, self)._loglikelihood_tokens
        answers: list[tuple[float, bool]] = self._in_batches(requests, lambda request: request[0], ask)
        self.progress(self.total, self.total)  # stock code asks equal requests once
        return answers

    def _in_batches(self, requests: Sequence[Any], name: Callable[[Any], Any], ask: Callable[..., Any]) -> list[Any]:
        """Return what stock code answers. Where memory ends it goes on in smaller batches with what has no answer yet.

        `name` is what stock code calls a request when it tells its cache, which we have none of, about an answer.
        """
        found: list[Any] = [None] * len(requests)

        def rest(size: int) -> None:
            todo = [i for i, answer in enumerate(found) if answer is None]
            self.done = len(requests) - len(todo)
            around = self.batch_size_per_gpu, self.cache_hook
            self.batch_size_per_gpu, self.cache_hook = size, Heard()
            answers: list[Any] = [None] * len(todo)
            try:
                answers = list(ask([requests[i] for i in todo], disable_tqdm=True)) if todo else []
            except Exception:
                answers = [self.cache_hook.take(name(requests[i])) for i in todo]
                raise
            finally:
                self.batch_size_per_gpu, self.cache_hook = around
                for i, answer in zip(todo, answers, strict=True):
                    found[i] = answer

        self.batch.run(rest)
        return found

    def _model_call(self, inps: Any, *args: Any, **kwargs: Any) -> Any:
        out = super()._model_call(inps, *args, **kwargs)
        self._count(inps.shape[0])
        return out

    def _model_generate(self, context: Any, *args: Any, **kwargs: Any) -> Any:
        out = super()._model_generate(context, *args, **kwargs)
        self._count(context.shape[0])
        return out

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> Any:
        self.done, self.total = 0, len(requests)
        return self._in_batches(requests, lambda request: request.args, super().generate_until)


class Heard:
    """Stands where lm-eval keeps answers for its cache: what was answered before something went wrong."""

    def __init__(self) -> None:
        self._said: list[tuple[Any, Any]] = []
        self._by_name: dict[str, list[Any]] | None = None

    def add_partial(self, kind: str, name: Any, answer: Any) -> None:
        """Hear an answer."""
        self._said.append((name, answer))

    def take(self, name: Any) -> Any:
        """Return an answer to a request, each once: a request that is sampled several times has several. Else None."""
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for asked, answer in reversed(self._said):
                self._by_name[repr(asked)].append(answer)
        answers = self._by_name.get(repr(name))
        return answers.pop() if answers else None


@functools.cache
def _watched() -> type[Any]:
    """Return the class; lm-eval is imported when it is first needed."""
    from lm_eval.models.huggingface import HFLM

    return type("Watched", (_OnModule, HFLM), {})
