"""How likely a server finds a text that it is given: the completions API repeats a prompt with its log-probabilities.

`echo` and `logprobs` as in https://platform.openai.com/docs/api-reference/completions; vLLM and SGLang have both,
other servers ignore them, which is noticed.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distbench.errors import RunError, UsageError
from distbench.models.openai_answers import Keys
from distbench.models.openai_stream import Reply
from distbench.protocols import Written

SPECIAL = 2  # tokens that a server may show in front of a text, such as one for its beginning
TIE = 1e-6  # nats


@dataclass(frozen=True)
class Shown:
    """The tokens of a text as a server shows them; likeliest: the log-probability of the greedy choice, in nats."""

    texts: list[str]
    logprobs: list[float | None]
    likeliest: list[float | None]
    offsets: list[int] | None  # in characters


def echo_of(text: str, model: str, keys: Keys) -> dict[str, object]:
    """Return the request for a text's log-probabilities; one token more is asked for: some servers refuse none."""
    body: dict[str, object] = {
        "model": model, "prompt": text, "stream": True, "echo": True, "logprobs": 1, keys.length_key: 1,
    }  # fmt: skip
    if keys.greedy:
        body["temperature"] = 0
    if keys.usage:
        body["stream_options"] = {"include_usage": True}
    return body


def judged(reply: Reply, context: str, given: str, where: str) -> Written:
    """Return the log-probability of `given` after `context`, and whether it is the greedy continuation.

    Raises UsageError for a server that does not tell, RunError where this one text cannot be told.
    """
    shown = _shown(reply, where)
    starts = _starts(shown, context + given)
    if starts is None:
        raise UsageError(
            f"{where} does not repeat a given text with its log-probabilities (echo with logprobs, as vLLM and SGLang "
            "do): only tasks whose answers are written can be asked of it"
        )
    last = next((i for i, start in enumerate(starts) if start >= len(context + given)), len(starts))
    if len(context) not in starts[:last]:
        raise RunError(f"{where}: a token reaches over the end of the context {context[-20:]!r}")
    first = starts.index(len(context))
    logprobs = shown.logprobs[first:last]
    if any(p is None for p in logprobs) and first == 0:
        raise UsageError(
            f"{where} does not say how likely a text's first token is; give the model's first special token as "
            "first_text"
        )
    known = [p for p in logprobs if p is not None and math.isfinite(p)]
    if len(known) != len(logprobs):
        raise RunError(f"{where} sent a log-probability that is none")
    best = shown.likeliest[first:last]
    if any(p is None for p in best):
        raise UsageError(f"{where} does not tell the likeliest tokens of a given text (logprobs: 1)")
    greedy = all(b is not None and p >= b - TIE for p, b in zip(known, best, strict=True))
    return Written(
        text=given, ended=True, prompt_tokens=reply.prompt_tokens, tokens=reply.generated,
        logprob=math.fsum(known), greedy=greedy,
    )  # fmt: skip


def _shown(reply: Reply, where: str) -> Shown:
    """Put the pieces of an answer together. Raises RunError for what is no list of tokens."""
    shown, offsets = Shown([], [], [], None), list[int]()
    try:
        for piece in reply.logprobs:
            texts = list(piece.get("tokens") or [])
            tops: Sequence[Any] = piece.get("top_logprobs") or [None] * len(texts)
            for text, logprob, top in zip(texts, piece["token_logprobs"], tops, strict=True):
                shown.texts.append(str(text))
                shown.logprobs.append(None if logprob is None else float(logprob))
                shown.likeliest.append(max(map(float, top.values())) if top else None)
            offsets += map(int, piece.get("text_offset") or [])
    except (AttributeError, KeyError, TypeError, ValueError):
        raise RunError(f"{where} sent log-probabilities in an unknown form") from None
    return Shown(shown.texts, shown.logprobs, shown.likeliest, offsets if len(offsets) == len(shown.texts) else None)


def _starts(shown: Shown, text: str) -> list[int] | None:
    """Return where in `text` each token begins, negative for what stands before it; None where it is not shown.

    From the tokens themselves where they are whole characters, else as the server counts.
    """
    for special in range(min(SPECIAL, len(shown.texts)) + 1):
        if text and "".join(shown.texts[special:]).startswith(text):
            sizes = map(len, shown.texts[special:])
            return [-1] * special + list(itertools.accumulate(sizes, initial=0))[:-1]
    if shown.offsets is not None and len(shown.offsets) > 1 and shown.offsets[-1] <= len(text) <= _end(shown):
        return shown.offsets
    return None


def _end(shown: Shown) -> int:
    return (shown.offsets or [0])[-1] + len(shown.texts[-1])
