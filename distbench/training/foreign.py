"""A teacher with another tokenizer: it reads the same texts in its own tokens.

It is heard where both have read equally far.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from distbench.data.token_signal import TokenRows
from distbench.errors import UsageError
from distbench.losses.alignment import aligned
from distbench.losses.head import head_of


@dataclass(frozen=True)
class Heard:
    """Where a foreign teacher was heard: flat positions of the student's [n, L], and its logits there.

    positions [m] int64; `logits(rows)` gives the teacher's [len, V'] for a slice of the m.
    """

    positions: Any
    logits: Callable[[slice], Any]


@dataclass(frozen=True)
class _Passage:
    """One document of one row: its text, the student's tokens with their ends, and where they stand."""

    text: str
    offsets: list[tuple[int, int]]
    row: int
    start: int


class Foreigner:
    """One teacher, with its tokenizer and the student's."""

    def __init__(self, module: Any, tokenizer: Any, student_tokenizer: Any) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise UsageError("a teacher with another tokenizer needs a fast tokenizer: only those say which characters")
        self.module = module.eval().requires_grad_(False)
        self.tokenizer, self.student_tokenizer = tokenizer, student_tokenizer
        self.head = head_of(self.module)

    @torch.no_grad()
    def hear(self, rows: TokenRows) -> Heard | None:
        """Return what the teacher thinks at the positions that align; None where none does."""
        passages = [passage for index in range(len(rows)) for passage in self._passages(rows, index)]
        if not passages:
            return None
        encoded = self.tokenizer(
            [passage.text for passage in passages], return_offsets_mapping=True, add_special_tokens=True
        )
        length, scored = rows.ids.shape[1] - 1, rows.mask().tolist()
        ours: list[int] = []
        theirs: list[tuple[int, int]] = []
        for index, passage in enumerate(passages):
            for mine, other in zip(*aligned(passage.offsets, encoded["offset_mapping"][index]), strict=True):
                at = passage.start + mine
                if at < length and scored[passage.row][at]:
                    ours.append(passage.row * length + at)
                    theirs.append((index, other))
        if not ours:
            return None
        states = self._states(encoded["input_ids"])
        chosen = states[tuple(torch.tensor(each, device=states.device) for each in zip(*theirs, strict=True))]
        return Heard(torch.tensor(ours), lambda part: self._logits(chosen[part]))

    def _passages(self, rows: TokenRows, index: int) -> list[_Passage]:
        """Return the documents of a row whose text can be recovered from its tokens."""
        ids = rows.ids[index].tolist()
        documents = [0] * len(ids) if rows.documents is None else rows.documents[index].tolist()
        found = []
        for document in sorted(set(documents) - {-1}):
            start = documents.index(document)
            tokens = [token for token, of in zip(ids, documents, strict=True) if of == document]
            text, offsets = read(self.student_tokenizer, tokens)
            if text:
                found.append(_Passage(text, offsets, index, start))
        return found

    def _states(self, ids: Sequence[Sequence[int]]) -> Any:
        """Return hidden states (or logits where the head is not plain), [passages, longest, d], padded on the right."""
        device = self.module.device
        longest = max(map(len, ids))
        batch = torch.zeros(len(ids), longest, dtype=torch.long, device=device)
        mask = torch.zeros(len(ids), longest, dtype=torch.long, device=device)
        for row, tokens in enumerate(ids):
            batch[row, : len(tokens)] = torch.tensor(tokens, device=device)
            mask[row, : len(tokens)] = 1
        inputs = {"input_ids": batch, "attention_mask": mask}
        if self.head is None:
            return self.module(**inputs, use_cache=False).logits
        return self.head.hidden(inputs).last_hidden_state

    @torch.no_grad()
    def _logits(self, states: Any) -> Any:
        return states if self.head is None else torch.nn.functional.linear(states, self.head.weight, self.head.bias)


def read(tokenizer: Any, tokens: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
    """Return the text of some tokens, and which characters each stands for.

    Special tokens stand for none. A token that ends inside a character has not read it: it stands for none either, and
    the token that completes the character stands for all of it.
    """
    text = tokenizer.decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    offsets, reached = [], 0
    for count in range(1, len(tokens) + 1):
        so_far = tokenizer.decode(tokens[:count], skip_special_tokens=True, clean_up_tokenization_spaces=False)
        end = len(so_far) if text.startswith(so_far) else reached
        end = max(end, reached)
        offsets.append((reached, end))
        reached = end
    return text, offsets
