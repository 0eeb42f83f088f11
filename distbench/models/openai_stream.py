"""What a streaming completion says, as its bytes arrive: server-sent events that hold JSON.

Events: https://html.spec.whatwg.org/multipage/server-sent-events.html (9.2.6; only the field `data` matters here).
Objects: https://platform.openai.com/docs/api-reference/completions and …/chat/streaming.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from distbench.errors import RunError

DONE = "[DONE]"
LONGEST_EVENT = 1 << 20  # bytes
THOUGHTS = ("reasoning_content", "reasoning")  # what a reasoning model writes first is generated text too


class EventParser:
    """Cuts a byte stream into events, however the bytes were packed."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, block: bytes) -> list[str]:
        """Return the data of every event that ends in this block. Raises RunError for an event without end."""
        *lines, self._rest = (self._rest + block).split(b"\n")
        found = [data for line in lines if (data := self._line(line.removesuffix(b"\r"))) is not None]
        if len(self._rest) + sum(map(len, self._data)) > LONGEST_EVENT:
            raise RunError(f"sent an event of more than {LONGEST_EVENT} bytes")
        return found

    def end(self) -> list[str]:
        """Return the data of an event that the end of the stream cut off before its empty line."""
        self._line(self._rest.removesuffix(b"\r"))
        self._rest = b""
        data = self._line(b"")
        return [] if data is None else [data]

    def _line(self, line: bytes) -> str | None:
        if line:
            name, _, value = line.partition(b":")
            if name == b"data":  # a comment has an empty name, and other fields say nothing about the text
                self._data.append(value.removeprefix(b" "))
            return None
        data, self._data = self._data, []
        return b"\n".join(data).decode("utf-8", "replace") if data else None


@dataclass
class Reply:
    """One answer. marks_ns: when each piece of text arrived; an event without text is not a piece."""

    marks_ns: list[int] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)  # the text without a reasoning model's thoughts
    logprobs: list[dict[str, Any]] = field(default_factory=list)  # as the server sent them, piece by piece
    generated: int | None = None  # tokens, as the server counted
    prompt_tokens: int | None = None
    finish: str | None = None
    done: bool = False

    @property
    def tokens(self) -> int:
        """Return the generated tokens: as the server counted, else one a piece."""
        return len(self.marks_ns) if self.generated is None else self.generated

    def take(self, data: str, now_ns: int) -> None:
        """Read one event. Raises RunError where it is no part of a completion, or the server's own error."""
        if data.strip() == DONE:
            self.done = True
            return
        event = parsed(data)
        if event.get("error"):
            raise RunError(f"reported an error in its stream: {error_text(event)}")
        self._usage(event.get("usage"))
        for choice in _choices(event, data):
            piece = _piece(choice, THOUGHTS)
            if piece:
                self.marks_ns.append(now_ns)
                self.text.append(piece)
                self.said.append(_piece(choice, ()))
            if isinstance(choice.get("logprobs"), dict):
                self.logprobs.append(choice["logprobs"])
            if isinstance(choice.get("finish_reason"), str):
                self.finish = choice["finish_reason"]

    def _usage(self, usage: Any) -> None:
        if not isinstance(usage, dict):
            return
        generated, prompt = usage.get("completion_tokens"), usage.get("prompt_tokens")
        if isinstance(generated, int):
            self.generated = generated
        if isinstance(prompt, int):
            self.prompt_tokens = prompt


def parsed(data: str) -> dict[str, Any]:
    """Return a JSON object. Raises RunError for anything else, uncut: a key in it must be whole to be found."""
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        raise RunError(f"sent what is not JSON: {data}") from None
    if not isinstance(event, dict):
        raise RunError(f"sent JSON that is no completion: {data}")
    return event


def error_text(answer: dict[str, Any]) -> str:
    """Return what a server says in an error object, in whichever of the usual forms."""
    error = answer.get("error", answer)
    if isinstance(error, dict):
        error = error.get("message") or error.get("detail") or error
    return error if isinstance(error, str) else json.dumps(error)


def _choices(event: dict[str, Any], data: str) -> list[dict[str, Any]]:
    choices = event.get("choices", [] if "usage" in event else None)
    if not isinstance(choices, list) or not all(isinstance(choice, dict) for choice in choices):
        raise RunError(f"sent JSON that is no completion: {data}")
    return choices


def _piece(choice: dict[str, Any], besides: tuple[str, ...]) -> str:
    delta = choice.get("delta")
    found = [choice.get("text")]
    if isinstance(delta, dict):
        found = [delta.get(name) for name in ("content", *besides)]
    return "".join(piece for piece in found if isinstance(piece, str))
