"""Teachers that answer, and what the tests of answers share."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.data.answers import Answers, AnswersOptions
from distbench.data.token_signal import TokenSignal
from distbench.models.openai_endpoint import OpenAIEndpoint, OpenAIOptions
from distbench.models.openai_http import Server
from distbench.protocols import SignalRequest
from tests.data.texts import Handle
from tests.endpoint.server import MODEL, Loopback

QUESTIONS = [f"the doctor {i} with" for i in range(12)]
KEY = "canary-3c51d0aa"


class Served:
    """A paid teacher, as a cell gives it; waits are noted instead of waited."""

    offers = OpenAIEndpoint.offers

    def __init__(self, server: Loopback, name: str, **given: Any) -> None:
        self.server, self.waited, self.opened = server, list[float](), 0
        self.identity = self.writer = name
        self.options = OpenAIOptions(model=MODEL, **given)

    def open(self) -> OpenAIEndpoint:
        self.opened += 1
        http = Server(self.server.url, MODEL, timeout_seconds=2)
        return OpenAIEndpoint(http, self.options, sleep=self.waited.append)

    def tokenizer(self) -> None:
        return None


def source(prompts: str, **given: Any) -> Answers:
    settings = {"prompts": prompts, "length": 64, "heldout": 2, "max_new_tokens": 6, "concurrency": 1, **given}
    return Answers(plugins.validated(AnswersOptions, settings))  # type: ignore[arg-type]


def ask(*teachers: Any, student: Path, asks: frozenset[str] = frozenset(), **given: Any) -> SignalRequest:
    return SignalRequest(teachers=teachers, tokenizer=Handle(student).tokenizer, asks=asks, **given)


def documents_of(signal: TokenSignal, tokenizer: Any) -> dict[str, str]:
    """Return prompt → what is learned after it, of the rows of both sides."""
    found = {}
    for rows in (signal.train, signal.heldout.rows):
        for row in range(len(rows)):
            for number in range(int(rows.documents[row].max()) + 1):
                at = (rows.documents[row] == number).nonzero().flatten().tolist()
                learned = [rows.ids[row, t + 1] for t in at[:-1] if rows.scored[row, t]]
                seen = [int(t) for t in rows.ids[row, at]][: len(at) - len(learned)]
                found[tokenizer.decode(seen)] = tokenizer.decode(learned)
    return found


def says(text: Callable[[dict[str, Any]], str]) -> Callable[[dict[str, Any]], list[tuple[str, None]]]:
    """A server that answers with the words of a text."""
    return lambda body: [(f" {word}", None) for word in text(body).split()]


ECHO = says(lambda body: "answer to " + str(body.get("prompt") or body["messages"][-1]["content"]).split()[2])
