"""What every model of ours does with lm-eval's log-likelihood requests, whatever answers them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from distbench.hashing import text_digest
from distbench.scoring.requests import Tokens

Progressed = Callable[[int, int], None]
# ((context, continuation) or None for a window of a long text, their tokens); 4 bytes a token, not a Python object
Encoded = list[tuple[tuple[str, str] | None, Tokens, Tokens]]
UNSCORED = (math.nan, False)  # of a continuation without tokens, or with more than the model has positions
_unlike_any_other = itertools.count()
_TemplateLM: Any = object  # one of lm-eval's classes stands behind it once that is imported


class Asked(_TemplateLM):  # type: ignore[misc]
    """Requests are encoded once by stock code and kept for the next model; what cannot be scored is UNSCORED.

    A subclass gives `_scored`: the answers of requests that fit into the model.
    """

    progress: Progressed
    tokenised: dict[str, Encoded] | None
    done = total = 0

    def loglikelihood(self, requests: Any, disable_tqdm: bool = True) -> Any:
        """Answer (context, continuation) pairs: (log-probability, is it greedy)."""
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
        """Encode a text; the last two are kept."""
        # a document's choices come one after the other, and stock code encodes their context again for each
        recent = self.__dict__.setdefault("_recent", {})  # lm-eval's constructors are left alone
        key = (string, args, tuple(kwargs.items()))
        found = recent.pop(key, None)
        recent[key] = super().tok_encode(string, *args, **kwargs) if found is None else found
        if len(recent) > 2:
            del recent[next(iter(recent))]
        return recent[key]

    def _loglikelihood_tokens(self, requests: Any, *args: Any, **kwargs: Any) -> Any:
        """Take what stock code has encoded. Windows of a long text are answered, pairs are kept for `_answered`."""
        encoded = [(pair, _compact(context), _compact(target)) for pair, context, target in requests]
        if encoded and encoded[0][0] is None:
            return self._answered(encoded)
        self._encoded = encoded
        return [UNSCORED] * len(encoded)

    def _answered(self, requests: Encoded) -> list[tuple[float, bool]]:
        good = [request for request in requests if self._fits(request)]
        self.done, self.total = 0, len(good)
        taken = iter(self._scored(good))
        return [next(taken) if self._fits(request) else UNSCORED for request in requests]

    def _scored(self, requests: Encoded) -> list[tuple[float, bool]]:
        raise NotImplementedError

    def _fits(self, request: tuple[Any, Tokens, Tokens]) -> bool:
        _, context, target = request
        return len(context) > 0 and 0 < len(target) <= self.max_length

    def _count(self, more: int) -> None:
        self.done = min(self.total, self.done + more)
        self.progress(self.done, self.total)


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
