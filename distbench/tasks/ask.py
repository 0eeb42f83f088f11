"""What a task of ours asks a causal language model: log-likelihoods and greedy continuations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from distbench.tasks.lm_eval_model import language_model

Watch = Callable[[int, int], None]


def loglikelihoods(
    model: Any, pairs: Sequence[tuple[str, str]], watch: Watch, batch_size: int = 32
) -> list[tuple[float, bool]]:
    """Return (log-likelihood in nats, is it the greedy continuation) of each (context, continuation).

    `watch(done, total)` is told about progress in requests.
    """
    requests = [_request("loglikelihood", pair, i) for i, pair in enumerate(pairs)]
    return [
        (float(score), bool(greedy))
        for score, greedy in language_model(model, batch_size, watch).loglikelihood(requests)
    ]


def continuations(
    model: Any, prompts: Sequence[str], watch: Watch, *, max_tokens: int, stop: Sequence[str] = (), batch_size: int = 8
) -> list[str]:
    """Return each prompt's greedy continuation of at most `max_tokens` tokens, cut before the first stop text."""
    arguments = {"until": list(stop), "max_gen_toks": max_tokens, "do_sample": False}
    requests = [_request("generate_until", (prompt, arguments), i) for i, prompt in enumerate(prompts)]
    return [str(text) for text in language_model(model, batch_size, watch).generate_until(requests)]


def _request(kind: str, arguments: tuple[Any, ...], index: int) -> Any:
    from lm_eval.api.instance import Instance

    return Instance(request_type=kind, doc={}, arguments=arguments, idx=index)
