"""From the likeliest tokens that a server told to the student's own tokens.

This is exact or it is refused: the answer must fall into the same pieces, byte by byte, for both tokenizers. Mass on
tokens that stand for no text goes to the rest bucket.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from distbench.data.corpus_rows import Layout, Tokens
from distbench.data.token_signal import Recorded, TokenRows
from distbench.errors import UsageError
from distbench.protocols import Guess

NEVER = -60_000.0  # natural log of the mass of what cannot come; finite in float16, and exp() of it is 0
SPACE = "▁"


@dataclass(frozen=True)
class Told:
    """What was told of each token of a document: (ids, logp) with k entries each, or None where nothing usable was."""

    steps: list[tuple[list[int], list[float]] | None]


class Pieces:
    """The bytes of a tokenizer's tokens, both ways. Tokens that stand for no text have none."""

    def __init__(self, tokenizer: Any) -> None:
        bytewise = "ByteLevel" in json.dumps(json.loads(tokenizer.backend_tokenizer.to_str()).get("decoder"))
        special = set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
        self.of: dict[int, bytes] = {}
        self.id: dict[bytes, int] = {}
        for name, token in sorted(tokenizer.get_vocab().items(), key=lambda pair: pair[1]):
            if token not in special and (found := _bytewise(name) if bytewise else _spaced(name)) is not None:
                self.of[token] = found
                self.id.setdefault(found, token)

    def told(self, tokens: Tokens, guesses: Sequence[Guess], k: int) -> Told:
        """Return what was told about a document whose learned part is one answer.

        Raises UsageError where the tokenizers part.
        """
        answer = [int(token) for token in tokens.ids[tokens.taught]]
        known = [token for token in answer if token in self.of]
        ends = len(answer) - len(known)  # an end token stands for no text, and few servers tell anything about it
        said = [guess for guess in guesses if guess.token]
        for ours, theirs in zip([self.of[t] for t in known], [g.token for g in said], strict=False):
            if ours != theirs:
                raise UsageError(_parted(f"where the student reads {ours!r}, the teacher wrote {theirs!r}"))
        if ends > 1 or len(known) != len(said):
            raise UsageError(_parted(f"an answer has {len(known)} tokens for the student, {len(said)} for the teacher"))
        steps = [self._step(guess, k) for guess in said]
        if ends:  # that it ended is known, and not how likely that was: the label alone
            steps.append(self._certain(answer[-1], k))
        at = {int(place): step for place, step in zip(tokens.taught.nonzero()[0], steps, strict=True)}
        return Told([at.get(place) for place in range(len(tokens.ids))])

    def _step(self, guess: Guess, k: int) -> tuple[list[int], list[float]] | None:
        """Return the k likeliest tokens, or None where the server told fewer."""
        found: dict[int, float] = {}
        for text, logp in sorted(guess.top, key=lambda pair: -pair[1]):
            if not text:
                continue
            if text not in self.id:
                raise UsageError(_parted(f"the teacher's token {text!r} is none of the student's"))
            found.setdefault(self.id[text], min(logp, 0.0))
        if len(found) < k:
            return None
        kept = list(found.items())[:k]
        return [token for token, _ in kept], [max(logp, NEVER) for _, logp in kept]

    def _certain(self, token: int, k: int) -> tuple[list[int], list[float]]:
        others = (other for other in self.of if other != token)
        return [token, *(next(others) for _ in range(k - 1))], [0.0, *[NEVER] * (k - 1)]


def recorded(layout: Layout, told: Sequence[Told], k: int) -> tuple[TokenRows, Recorded]:
    """Return rows with what was told at every place of theirs; a place at which nothing was told does not count."""
    import torch

    rows = layout.rows
    shape = (*rows.scored.shape, k)
    ids, logp = np.zeros(shape, dtype=np.int32), np.full(shape, NEVER, dtype=np.float16)
    scored = rows.scored.numpy().copy()
    for place in layout.places:
        steps = told[place.piece.document].steps
        for offset in range(1, place.piece.size):
            at = place.row, place.column + offset - 1
            step = steps[place.piece.start + offset]
            if step is None:
                scored[at] = False
            else:
                ids[at], logp[at] = step
    counted = TokenRows(rows.ids, rows.documents, torch.from_numpy(scored))
    return counted, Recorded(torch.from_numpy(ids), torch.from_numpy(logp), 1.0)


def _parted(why: str) -> str:
    return (
        f"top_logprobs needs a student whose tokenizer cuts text as the teacher's does ({why}); leave it out, and the "
        "student still learns from the answers"
    )


def _bytewise(name: str) -> bytes | None:
    """Return the bytes of a token of a byte-level vocabulary, in which each byte has a printable character."""
    try:
        return bytes(_BYTES[character] for character in name)
    except KeyError:
        return None


def _spaced(name: str) -> bytes:
    """Return the bytes of a token that writes a space as ▁, and a lone byte as <0x0A>."""
    if len(name) == 6 and name.startswith("<0x") and name.endswith(">"):
        try:
            return bytes([int(name[3:5], 16)])
        except ValueError:
            pass
    return name.replace(SPACE, " ").encode("utf-8", "surrogatepass")


def _byte_characters() -> dict[str, int]:
    """Return which byte each character means (Radford et al. 2019, section 2.2): a printable one means itself."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(0x100) if byte not in set(printable)]
    return {chr(byte): byte for byte in printable} | {chr(0x100 + n): byte for n, byte in enumerate(others)}


_BYTES = _byte_characters()
