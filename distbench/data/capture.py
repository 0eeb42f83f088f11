"""What teachers think of given tokens, recorded once: every student, epoch and control reads the same file."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench.data.signal_file import load_signal, save_signal
from distbench.data.token_signal import HeldOut, Recorded, TokenRows, TokenSignal
from distbench.hashing import digest
from distbench.losses.head import Head, head_of
from distbench.losses.target import Full
from distbench.protocols import Progress, SignalRequest
from distbench.store.cache import Cache

CODE_VERSION = 2  # part of the cache key: raise it when the same inputs would be recorded otherwise
TOP_K = 64
HELD_OUT_POSITIONS = 1024  # the whole vocabulary of each is kept
FORWARD_TOKENS = 4096  # through a teacher at once
CHUNK = 256  # positions whose logits exist at once


@dataclass(frozen=True)
class Corpus:
    """Token rows before any teacher was asked; `digest` says what they are."""

    train: TokenRows
    heldout: TokenRows
    digest: str


def with_teachers(corpus: Corpus, ask: SignalRequest) -> TokenSignal:
    """Return the corpus with the teachers' distribution: of the held-out rows always, of the others if asked to."""
    if not ask.teachers:
        return TokenSignal(corpus.train, HeldOut(corpus.heldout), None, corpus.digest)
    key = capture_key(corpus.digest, ask)

    def make(folder: Path) -> None:
        save_signal(capture(corpus, [teacher.open() for teacher in ask.teachers], ask), folder)

    folder, cached = Cache().get_or_make("signals", key, make)
    return load_signal(folder, key, from_cache=cached)


def capture_key(corpus: str, ask: SignalRequest) -> str:
    """Return the content key of a recording."""
    teachers = [teacher.identity for teacher in ask.teachers]
    what = [ask.temperature, TOP_K] if ask.record else None
    return digest(["capture", CODE_VERSION, corpus, teachers, list(ask.weights), what, HELD_OUT_POSITIONS])


def capture(corpus: Corpus, models: Sequence[Any], ask: SignalRequest) -> TokenSignal:
    """Ask the teachers about all rows."""
    import torch

    began = time.perf_counter()
    for model in models:
        corpus.train.check_context(model, "teacher")
    weights = ask.weights or (1.0 / len(models),) * len(models)
    at = held_out_positions(corpus.heldout)
    whole = _Whole(at)
    with torch.inference_mode():
        _read(corpus.heldout, models, weights, 1.0, whole, lambda *_: None)
        recorded = None
        if ask.record:
            likeliest = _Likeliest()
            _read(corpus.train, models, weights, ask.temperature, likeliest, ask.progress)
            recorded = likeliest.recorded(corpus.train, ask.temperature)
    heldout = HeldOut(corpus.heldout, at, whole.logp())
    return TokenSignal(corpus.train, heldout, recorded, corpus.digest, time.perf_counter() - began)


def held_out_positions(rows: TokenRows) -> Any:
    """Return at most `HELD_OUT_POSITIONS` scored positions, spread evenly, as flat indices [m] int64."""
    import torch

    scored = rows.mask().flatten().nonzero().flatten()
    if len(scored) <= HELD_OUT_POSITIONS:
        return scored
    return scored[torch.linspace(0, len(scored) - 1, HELD_OUT_POSITIONS).round().long()]


class _Whole:
    """Keeps the whole distribution at some positions."""

    def __init__(self, at: Any) -> None:
        self.at, self.parts = at, []  # type: ignore[var-annotated]

    def see(self, logp: Any, first: int) -> None:
        inside = self.at[(self.at >= first) & (self.at < first + len(logp))] - first
        if len(inside):
            self.parts.append(logp[inside.to(logp.device)].half().cpu())

    def logp(self) -> Any:
        import torch

        return torch.cat(self.parts)


class _Likeliest:
    """Keeps the `TOP_K` likeliest tokens of every position."""

    def __init__(self) -> None:
        self.ids: list[Any] = []
        self.values: list[Any] = []

    def see(self, logp: Any, first: int) -> None:
        value, top = logp.topk(min(TOP_K, logp.shape[-1]), dim=-1)
        self.ids.append(narrow(top, logp.shape[-1]).cpu())
        self.values.append(value.half().cpu())

    def recorded(self, rows: TokenRows, temperature: float) -> Recorded:
        import torch

        shape = (len(rows), rows.ids.shape[1] - 1, -1)
        return Recorded(torch.cat(self.ids).view(shape), torch.cat(self.values).view(shape), temperature)


def narrow(ids: Any, vocabulary: int) -> Any:
    """Return token ids in the smallest type that holds the vocabulary."""
    import torch

    return ids.to(torch.uint16 if vocabulary <= 65_536 else torch.int32)


def _read(
    rows: TokenRows, models: Sequence[Any], weights: Sequence[float], temperature: float, into: Any, progress: Progress
) -> None:
    """Show `into` the mixture's log-probabilities at every position, in order, [≤ CHUNK, V] at a time."""
    length = rows.ids.shape[1] - 1
    batch = max(1, FORWARD_TOKENS // length)
    heads = [head_of(model.module) for model in models]
    for start in range(0, len(rows), batch):
        part = rows.take(slice(start, start + batch))
        logits = [_logits_by_chunk(model.module, head, part) for model, head in zip(models, heads, strict=True)]
        first = start * length
        for each in zip(*logits, strict=True):
            logp = Full(each, weights).log_probabilities(temperature)
            into.see(logp, first)
            first += len(logp)
        progress(min(start + batch, len(rows)), len(rows), "recording the teacher")


def _logits_by_chunk(module: Any, head: Head | None, rows: TokenRows) -> Any:
    """Yield logits [≤ CHUNK, V] of all positions of the rows, in order."""
    inputs = rows.inputs(module.device)
    if head is None:
        yield from module(**inputs, use_cache=False).logits.flatten(0, 1).split(CHUNK)
        return
    output = module.get_output_embeddings()
    for hidden in head.hidden(inputs).last_hidden_state.flatten(0, 1).split(CHUNK):
        yield output(hidden)
