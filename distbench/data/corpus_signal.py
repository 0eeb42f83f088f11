"""From tokenised documents to a training signal: made once, cut, packed, and shown to teachers who can read it."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from distbench.data.capture import Corpus, capture_key, with_teachers
from distbench.data.corpus_rows import Layout, Tokens, lay_out
from distbench.data.corpus_split import Split
from distbench.data.signal_file import load_signal, save_signal
from distbench.data.token_signal import HeldOut, TokenSignal
from distbench.data.tokenizers import difference
from distbench.errors import RunError, UsageError
from distbench.hashing import digest
from distbench.protocols import SignalRequest
from distbench.store.cache import Cache
from distbench.store.files import write_text

FACTS = "facts.json"
Facts = dict[str, int | float | str]


@dataclass(frozen=True)
class Shape:
    """How rows look: predictions a row, whether documents share one, and the token of empty places."""

    length: int
    packing: bool
    padding: int


@dataclass(frozen=True)
class Sides:
    """The rows of both sides, and what was done to get them."""

    train: Layout
    heldout: Layout
    facts: Facts


def sides_of(documents: Sequence[Tokens], split: Split, shape: Shape) -> Sides:
    """Return the rows to learn from, and those that are held out. Raises RunError where a side has no prediction."""
    train, heldout = (
        lay_out([documents[i] for i in chosen], shape.length, shape.padding, packing=shape.packing)
        for chosen in (split.train, split.heldout)
    )
    for side, name in ((train, "to learn from"), (heldout, "held out")):
        if side.rows.positions == 0:
            raise RunError(f"0 examples {name}: its documents have nothing to learn in them")
    pieces = [place.piece for place in train.places]
    cut = {piece.document for piece in pieces if piece.start > 0}
    filled = sum(piece.size for piece in pieces)
    facts: Facts = {
        "documents": len(split.train),
        "documents_heldout": len(split.heldout),
        "tokens_learned": train.rows.positions,
        "documents_split": len(cut),
        "windows_of_split_documents": sum(piece.document in cut for piece in pieces),
        "padding_share": round(1.0 - filled / train.rows.ids.numel(), 4),
    }
    return Sides(train, heldout, facts)


def made_once(what: Sequence[Any], make: Callable[[], tuple[TokenSignal, Facts]]) -> TokenSignal:
    """Return a signal from the cache, made when no cell has before; `what` says what it is."""
    key = digest(["corpus", *what])

    def write(folder: Path) -> None:
        signal, facts = make()
        save_signal(signal, folder)
        write_text(folder / FACTS, json.dumps(facts))

    folder, cached = Cache().get_or_make("corpora", key, write)
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return replace(load_signal(folder, key, from_cache=cached), facts=facts)


def tokenizer_of(ask: SignalRequest) -> Any:
    """Return the tokenizer of the rows: that of the model which will learn, else a teacher's."""
    handles = [ask.tokenizer] if ask.tokenizer is not None else []
    for load in [*handles, *(teacher.tokenizer for teacher in ask.teachers)]:
        if (tokenizer := load()) is not None:
            return tokenizer
    raise UsageError("neither the student nor a teacher has a tokenizer to read text with")


def taught_by(signal: TokenSignal, ask: SignalRequest, tokenizer: Any) -> TokenSignal:
    """Return a signal with the teachers' distribution, where each of them can be asked about these very tokens.

    Raises UsageError where the objective compares distributions, and the vocabularies differ.
    """
    comparing = ask.asks - {"other-tokenizer"}
    for teacher in ask.teachers:
        if "causal-lm" not in teacher.offers:
            return signal  # labels alone: the planner let no objective through that needs more
        if found := difference(teacher.tokenizer().get_vocab(), tokenizer.get_vocab()):
            if comparing:
                raise UsageError(found)
            return signal
    corpus = Corpus(signal.train, signal.heldout.rows, signal.digest)
    recorded = with_teachers(corpus, ask if comparing else _heldout_only(corpus, ask))
    return replace(recorded, facts=signal.facts, digest=signal.digest)


def _heldout_only(corpus: Corpus, ask: SignalRequest) -> SignalRequest:
    """Return a request that records nothing of the training rows: labels suffice.

    A recording that is there already, of the student whose control this is, serves as well and opens no teacher.
    """
    there = Cache().path("signals", capture_key(corpus.digest, ask)).is_dir()
    return ask if there else replace(ask, record=False)


def untaught(sides: Sides) -> TokenSignal:
    """Return rows without any teacher's distribution."""
    return TokenSignal(sides.train.rows, HeldOut(sides.heldout.rows), None, "")
