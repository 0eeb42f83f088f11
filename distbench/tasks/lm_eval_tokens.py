"""lm-eval's requests for a model without a torch module: one that offers `language` (`distbench.protocols.Language`).

Texts become tokens, and what does not fit is cut, by the rules of lm-eval's Hugging Face model: the same question gives
the same tokens, whatever runtime answers.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from distbench.errors import RunError
from distbench.tasks.lm_eval_encoded import Asked, Encoded, Progressed

MOST_TOKENS = 256  # of an answer, where the task does not say: lm-eval's default
GREEDY = {"do_sample", "temperature", "top_p", "top_k"}  # the last two mean nothing to a greedy choice
LOOK_BACK = 2  # tokens beyond those of a stop text: the model may spell it with others


def token_model(model: Any, progress: Progressed, tokenised: dict[str, Encoded] | None = None) -> Any:
    """Return an lm-eval model that asks `model`, reports requests done, and keeps encoded requests in `tokenised`."""
    lm = _class()()
    lm.model, lm.tokenizer, lm.max_length = model, model.tokenizer, model.context_length
    lm.progress, lm.tokenised = progress, tokenised
    return lm


class _Plain:
    """Encodes a text as lm-eval's Hugging Face model does: below `Asked` in the order of methods."""

    tokenizer: Any
    add_bos_token = None  # the tokenizer's own way

    @property
    def eot_token_id(self) -> int:
        return int(self.tokenizer.eos_token_id)

    @property
    def prefix_token_id(self) -> int:
        """What an empty context is replaced by."""
        start = self.tokenizer.bos_token_id
        return self.eot_token_id if start is None else int(start)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        # a text that starts with the first special token must not get it twice
        start = self.tokenizer.decode(self.prefix_token_id)
        if add_special_tokens is None and start and string.startswith(start):
            add_special_tokens = False
        given = {} if add_special_tokens is None else {"add_special_tokens": add_special_tokens}
        return list(self.tokenizer.encode(string, **given))


class _OnTokens(Asked):
    """The three kinds of requests, one at a time: a backend's batch is its own business."""

    model: Any
    max_length: int

    def _scored(self, requests: Encoded) -> list[tuple[float, bool]]:
        """Score in the order of contexts, so that a backend can keep one; equal requests are asked once."""
        keys = [(context.tobytes(), target.tobytes()) for _, context, target in requests]
        known: dict[tuple[bytes, bytes], tuple[float, bool]] = {}
        for index in sorted(range(len(requests)), key=keys.__getitem__):
            if keys[index] not in known:
                _, context, target = requests[index]
                known[keys[index]] = self._score(context.tolist(), target.tolist())
            self._count(1)
        return [known[key] for key in keys]

    def _score(self, context: list[int], target: list[int]) -> tuple[float, bool]:
        shown = [*context, *target][-(self.max_length + 1) :]
        logprob, greedy = self.model.score(shown[: -len(target)], target)
        return float(logprob), bool(greedy)

    def loglikelihood_rolling(self, requests: Any, disable_tqdm: bool = True) -> list[float]:
        """Return the log-probability of whole texts, in windows that do not overlap in what they predict."""
        from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

        windows: list[tuple[None, list[int], list[int]]] = []
        owner: list[int] = []
        for index, request in enumerate(requests):
            tokens = self.tok_encode(request.args[0])
            for pair in get_rolling_token_windows(tokens, self.prefix_token_id, self.max_length, 1):
                windows.append((None, *make_disjoint_window(pair)))
                owner.append(index)
        totals = [0.0] * len(requests)
        for index, (logprob, _) in zip(owner, self._loglikelihood_tokens(windows), strict=True):
            totals[index] += logprob
        return totals

    def generate_until(self, requests: Any, disable_tqdm: bool = True) -> list[str]:
        """Return each prompt's greedy continuation, cut before the first stop text."""
        self.done, self.total = 0, len(requests)
        return [self._written(*request.args) for request in requests]

    def _written(self, prompt: str, given: dict[str, Any]) -> str:
        from lm_eval.models.utils import handle_stop_sequences, normalize_gen_kwargs, postprocess_generated_text

        asked = dict(normalize_gen_kwargs(given, MOST_TOKENS))
        most: int = asked.pop("max_gen_toks")
        until = handle_stop_sequences(asked.pop("until"), eos=self.tokenizer.decode(self.eot_token_id))
        if asked.get("do_sample") or set(asked) - GREEDY:
            raise RunError(f"{type(self.model).__name__} continues texts greedily only; the task asks for {asked}")
        if most >= self.max_length:
            raise RunError(f"the task asks for {most} tokens, and the model has {self.max_length} positions in all")
        ids = self.tok_encode(prompt)[-(self.max_length - most) :] or [self.prefix_token_id]
        tokens = self.model.continue_greedily(ids, most, self._stop(until))
        self._count(1)
        text = self.tokenizer.decode(tokens, skip_special_tokens=True)
        return str(postprocess_generated_text(text, until, None))

    def _stop(self, until: Sequence[str]) -> Any:
        """Return what tells whether a text has ended: by a token that ends texts, or by a stop text in its end."""
        ends = self.model.ends
        backs = [(text, len(self.tokenizer.encode(text, add_special_tokens=False)) + LOOK_BACK) for text in until]

        def stop(tokens: Sequence[int]) -> bool:
            return tokens[-1] in ends or any(text in self.tokenizer.decode(tokens[-back:]) for text, back in backs)

        return stop


@functools.cache
def _class() -> type[Any]:
    """Return the class; lm-eval is imported when it is first needed."""
    from lm_eval.api.model import TemplateLM

    return type("OnTokens", (_OnTokens, _Plain, TemplateLM), {})
