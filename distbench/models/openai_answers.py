"""Answers from an OpenAI-compatible server: what is sent, and what an answer says, log-probabilities included.

Objects: https://platform.openai.com/docs/api-reference/completions and …/chat (`logprobs`, `top_logprobs`).
"""

from __future__ import annotations

from typing import Any, Protocol

from distbench.errors import RunError, UsageError
from distbench.models.openai_stream import Reply
from distbench.protocols import Guess, Prompt, Sampling, Written

ENDS = {"stop": True, "eos": True, "end_turn": True, "length": False}  # finish_reason → the answer ended by itself
REASONS = frozenset({"content_filter", "tool_calls", "function_call", "abort", "error"})  # quoted: no secret is in them
MOST_STOPS = 4  # that OpenAI's own service takes
UNREADABLE = "\ufffd"  # a server writes it for bytes that are no character by themselves


class Keys(Protocol):
    """Which optional keys a server takes."""

    @property
    def usage(self) -> bool:
        """Whether it counts tokens when asked to."""
        ...

    @property
    def length_key(self) -> str:
        """The name of the length limit."""
        ...

    @property
    def greedy(self) -> bool:
        """Whether it takes a temperature."""
        ...


def request_of(prompt: Prompt, sampling: Sampling, model: str, api: str, keys: Keys) -> tuple[str, dict[str, object]]:
    """Return path and body of a request.

    Raises UsageError for messages to an API that takes only text, and for a temperature that the server does not take.
    """
    body: dict[str, object] = {"model": model, "stream": True, keys.length_key: sampling.most}
    if keys.greedy:
        body["temperature"] = sampling.temperature
    elif sampling.temperature != 1.0:
        raise UsageError(f"the model {model!r} is served without a choice of temperature; set temperature: 1.0")
    if keys.usage:
        body["stream_options"] = {"include_usage": True}
    if sampling.stop:
        body["stop"] = list(sampling.stop[:MOST_STOPS])
    if api == "chat":
        body["messages"] = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else prompt
        if sampling.top_logprobs:
            body |= {"logprobs": True, "top_logprobs": sampling.top_logprobs}
        return "/chat/completions", body
    if not isinstance(prompt, str):
        raise UsageError(f"the model {model!r} completes text, and a prompt is messages; set api: chat")
    body["prompt"] = prompt
    if sampling.top_logprobs:
        body["logprobs"] = sampling.top_logprobs
    return "/completions", body


def answer_of(reply: Reply, sampling: Sampling, where: str) -> Written:
    """Return what an answer says.

    Raises RunError for an answer that was cut off for another reason than its length, or says nothing; UsageError where
    log-probabilities were asked for and none came: asking again would cost the same for nothing.
    """
    text = "".join(reply.said)
    if reply.finish is not None and reply.finish not in ENDS:
        why = reply.finish if reply.finish in REASONS else "one that nobody knows"
        raise RunError(f"{where} broke an answer off (finish_reason: {why})")
    if not text.strip() and not sampling.empty:
        raise RunError(f"{where} answered with nothing but thoughts or spaces; give it more max_new_tokens")
    guesses = None
    if sampling.top_logprobs:
        guesses = tuple(guess for piece in reply.logprobs for guess in _guesses(piece))
        if not guesses:
            raise UsageError(f"{where} told no log-probabilities; leave out top_logprobs")
    return Written(
        text=text,
        ended=reply.tokens < sampling.most if reply.finish is None else ENDS[reply.finish],
        prompt_tokens=reply.prompt_tokens,
        tokens=reply.generated,
        guesses=guesses,
    )


def _guesses(piece: dict[str, Any]) -> list[Guess]:
    """Return the tokens of one piece of an answer, in either API's form. Raises RunError for any other form."""
    try:
        content = piece.get("content")
        if isinstance(content, list):
            return [
                Guess(_of(each), tuple((_of(one), float(one["logprob"])) for one in each["top_logprobs"]))
                for each in content
            ]
        tops = piece.get("top_logprobs") or []
        pairs = zip(piece.get("tokens") or [], tops, strict=True)
        return [
            Guess(_bytes(token), tuple((_bytes(one), float(p)) for one, p in (top or {}).items()))
            for token, top in pairs
        ]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise RunError("the server sent log-probabilities in an unknown form") from None


def _of(token: dict[str, Any]) -> bytes | None:
    """Return a token's bytes: as the server tells them, else those of its text."""
    given = token.get("bytes")
    return bytes(given) if isinstance(given, list) else _bytes(token["token"])


def _bytes(token: str) -> bytes | None:
    return None if UNREADABLE in token else token.encode()
