"""From documents to tokens, and to which of them are learned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distbench.data.corpus_rows import Tokens
from distbench.data.text_documents import Document, Pair, Plain
from distbench.data.text_prompts import end_of, opening_of, rendered, separator_of
from distbench.errors import RunError, UsageError

BATCH = 1000  # documents that the tokenizer gets at once


@dataclass(frozen=True)
class Shown:
    """A text that is tokenised as one, and the (start, stop) characters of it that are learned.

    before, after: tokens around it that are no text; `after` is learned.
    """

    text: str
    learned: list[tuple[int, int]]
    before: list[int]
    after: list[int]


class Tokeniser:
    """Turns documents into tokens. ends: whether a text's end is learned."""

    def __init__(self, tokenizer: Any, *, ends: bool = True) -> None:
        self._tokenizer, self._ends = tokenizer, ends
        self._separator, self._end, self._opening = separator_of(tokenizer), end_of(tokenizer), opening_of(tokenizer)

    def __call__(self, documents: Sequence[Document]) -> Iterator[Tokens]:
        """Yield the tokens of each document, in order."""
        for first in range(0, len(documents), BATCH):
            part = documents[first : first + BATCH]
            if all(isinstance(each, Plain) for each in part):
                yield from self._plain([each.text for each in part if isinstance(each, Plain)])
            else:
                yield from self._shown([self._show(each) for each in part])

    # -- all of it is learned ---------------------------------------------------------------------------------------

    def _plain(self, texts: list[str]) -> Iterator[Tokens]:
        for found in self._tokenizer(texts, add_special_tokens=False)["input_ids"]:
            ids = np.asarray([self._separator, *found, *self._after(self._separator)], dtype=np.int32)
            yield Tokens(ids, np.ones(len(ids), dtype=np.bool_))

    def _after(self, token: int) -> list[int]:
        return [token] if self._ends else []

    # -- a part of it is learned ------------------------------------------------------------------------------------

    def _show(self, document: Document) -> Shown:
        if isinstance(document, Plain):
            return Shown(document.text, [(0, len(document.text))], [self._separator], self._after(self._separator))
        if isinstance(document, Pair) and isinstance(document.prompt, str):
            start = len(document.prompt)
            text = document.prompt + document.completion
            before = self._opening or ([] if document.prompt else [self._separator])
            return Shown(text, [(start, len(text))], before, self._after(self._end))
        if isinstance(document, Pair):
            said = {"role": "assistant", "content": document.completion}
            return self._conversation([*document.prompt, said], [len(document.prompt)])
        turns = [i for i, message in enumerate(document.messages) if message["role"] == "assistant"]
        return self._conversation(document.messages, turns)

    def _conversation(self, messages: list[dict[str, str]], turns: list[int]) -> Shown:
        """Show a conversation as its template does; learned is what stands after the prompt of each of `turns`."""
        text = rendered(self._tokenizer, messages, ask=False)
        learned = []
        for turn in turns:
            asked = rendered(self._tokenizer, messages[:turn], ask=True) if turn else ""
            answered = rendered(self._tokenizer, messages[: turn + 1], ask=False)
            if not (answered.startswith(asked) and text.startswith(answered)):
                raise UsageError(
                    "the tokenizer's chat template shows an answer otherwise once the conversation goes on, so that "
                    "nobody can tell which tokens are the assistant's; give prompt and completion as text"
                )
            learned.append((len(asked), self._stop(text, len(asked), len(answered))))
        return Shown(text, learned, [], [])

    def _stop(self, text: str, start: int, stop: int) -> int:
        """Return where an answer ends: with the end token, and not with a line break that a template puts after it."""
        end = self._tokenizer.eos_token
        at = text.rfind(end, start, stop) if end else -1
        return stop if at < 0 or text[at + len(end) : stop].strip() else at + len(end)

    def _shown(self, shown: list[Shown]) -> Iterator[Tokens]:
        if not self._tokenizer.is_fast:
            raise UsageError("prompts with completions need a fast tokenizer: one that tells where each token stands")
        found = self._tokenizer([one.text for one in shown], add_special_tokens=False, return_offsets_mapping=True)
        for one, ids, offsets in zip(shown, found["input_ids"], found["offset_mapping"], strict=True):
            yield _tokens(one, ids, offsets)


def _tokens(shown: Shown, ids: list[int], offsets: list[tuple[int, int]]) -> Tokens:
    """Join tokens; one is learned if it begins inside of what is learned, so never if it holds a part of the prompt."""
    taught = [any(start <= first < stop for start, stop in shown.learned) for first, _ in offsets]
    before, after = shown.before, shown.after
    return Tokens(
        np.asarray([*before, *ids, *after], dtype=np.int32),
        np.asarray([False] * len(before) + taught + [True] * len(after), dtype=np.bool_),
    )


def answered(prompt: Sequence[int], answer: Sequence[int]) -> Tokens:
    """Return a prompt with an answer that is known as tokens; the answer is learned."""
    if not prompt:
        raise RunError("an answer to no prompt at all")
    ids = np.asarray([*prompt, *answer], dtype=np.int32)
    taught = np.zeros(len(ids), dtype=np.bool_)
    taught[len(prompt) :] = True
    return Tokens(ids, taught)


def is_empty(document: Document) -> bool:
    """Return whether a document has nothing to learn."""
    if isinstance(document, Plain):
        return not document.text.strip()
    if isinstance(document, Pair):
        return not document.completion.strip()
    return not any(m["content"].strip() for m in document.messages if m["role"] == "assistant")
