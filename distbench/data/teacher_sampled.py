"""Data-free distillation: the teacher writes the training text, and its distribution is recorded while it writes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from distbench.data.capture import TOP_K, held_out_positions, narrow
from distbench.data.signal_file import load_signal, save_signal
from distbench.data.token_signal import HeldOut, Recorded, TokenRows, TokenSignal
from distbench.errors import UsageError
from distbench.hashing import digest
from distbench.losses.target import Full
from distbench.protocols import SignalRequest
from distbench.schema.strict import Strict
from distbench.store.cache import Cache

CODE_VERSION = 2  # part of the cache key: raise it when the same options would give other data
BATCH = 64


class TeacherSampledOptions(Strict):
    """Options of `data: {use: teacher-sampled}`."""

    sequences: int = Field(192, ge=4, le=10_000_000, description="training sequences")
    length: int = Field(96, ge=2, le=131_072, description="tokens of a sequence, the start token not counted")
    heldout: int = Field(8, ge=1, le=4096, description="further sequences kept for the held-out KL")
    start: int | None = Field(None, ge=0, description="id of the first token; the document separator where left out")


class TeacherSampled:
    """Sample sequences from the teacher at temperature 1; several teachers write, and teach, as their mean."""

    Options = TeacherSampledOptions
    yields: ClassVar[str] = "tokens"
    online: ClassVar[bool] = True  # its rows can be shown to a teacher while a student trains
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm"})

    def __init__(self, options: TeacherSampledOptions) -> None:
        self.options = options

    def identity(self) -> dict[str, Any]:
        """Return the version of the sampling code."""
        return {"code": CODE_VERSION, "top_k": TOP_K}

    def key(self, ask: SignalRequest) -> str:
        """Return the content key of the signal that these teachers would give."""
        teachers = [teacher.identity for teacher in ask.teachers]
        return digest([self.options, self.identity(), teachers, list(ask.weights), ask.temperature, ask.seed])

    def signal(self, ask: SignalRequest) -> TokenSignal:
        """Return the recorded signal, sampling it when no run has before."""
        if not ask.teachers:
            raise UsageError("data 'teacher-sampled' needs a teacher to sample from")
        key = self.key(ask)

        def make(folder: Path) -> None:
            save_signal(sample([teacher.open() for teacher in ask.teachers], self.options, ask), folder)

        folder, cached = Cache().get_or_make("signals", key, make)
        return load_signal(folder, key, from_cache=cached)


def start_token(tokenizer: Any) -> int:
    """Return the token that starts a document: <|endoftext|> where the vocabulary has it, else BOS, else EOS."""
    separator = tokenizer.convert_tokens_to_ids("<|endoftext|>")
    candidates = (
        separator if separator != tokenizer.unk_token_id else None,
        tokenizer.bos_token_id,
        tokenizer.eos_token_id,
    )
    for candidate in candidates:
        if candidate is not None:
            return int(candidate)
    raise UsageError("the tokenizer names no start token; set data.start to a token id")


def sample(models: list[Any], options: TeacherSampledOptions, ask: SignalRequest) -> TokenSignal:
    """Sample all sequences in batches and keep the teacher's distribution at every step."""
    import torch

    began = time.perf_counter()
    total = options.sequences + options.heldout
    start = options.start if options.start is not None else start_token(models[0].tokenizer)
    generator = torch.Generator().manual_seed(ask.seed)
    weights = ask.weights or (1.0 / len(models),) * len(models)
    parts: dict[str, list[Any]] = {"ids": [], "top_ids": [], "top_logp": [], "full": []}
    for first in range(0, total, BATCH):
        count = min(BATCH, total - first)
        keep = range(max(0, options.sequences - first), count)  # rows of this batch that are held out
        writers = _Writers(models, weights, ask.temperature, generator)
        for name, tensor in writers.write(start, count, options.length, keep).items():
            parts[name].append(tensor)
        ask.progress(first + count, total, "sampling from the teacher")
    joined = {name: torch.cat(tensors) for name, tensors in parts.items()}
    n = options.sequences
    heldout = TokenRows(joined["ids"][n:])
    at = held_out_positions(heldout)
    return TokenSignal(
        train=TokenRows(joined["ids"][:n]),
        heldout=HeldOut(heldout, at, joined["full"].flatten(0, 1)[at]),
        recorded=Recorded(joined["top_ids"][:n], joined["top_logp"][:n], ask.temperature),
        digest="",
        seconds=time.perf_counter() - began,
    )


@dataclass
class _Writers:
    """Teachers that write together: the next token is drawn from their mean distribution."""

    models: list[Any]
    weights: Sequence[float]
    temperature: float
    generator: Any

    def write(self, start: int, count: int, length: int, keep: range) -> dict[str, Any]:
        """Return `count` rows with what was thought at every step; `keep`: the rows whose whole distribution stays."""
        import torch

        ids = torch.full((count, 1), start, dtype=torch.long)
        caches: list[Any] = [None] * len(self.models)
        tops, values, full = [], [], []
        with torch.inference_mode():
            for _ in range(length):
                thought = Full(self._next(ids, caches), self.weights)
                written = thought.log_probabilities(1.0)
                # A T other than 1 softens what the student sees, never what the teacher writes.
                taught = written if self.temperature == 1.0 else thought.log_probabilities(self.temperature)
                value, top = taught.topk(min(TOP_K, taught.shape[-1]), dim=-1)
                tops.append(narrow(top, taught.shape[-1]))
                values.append(value.half())
                full.append(written[keep.start : keep.stop].half())
                ids = torch.cat([ids, _draw(written, self.generator)], dim=1)
        return {
            "ids": ids.int(),
            "top_ids": torch.stack(tops, 1),
            "top_logp": torch.stack(values, 1),
            "full": torch.stack(full, 1),
        }

    def _next(self, ids: Any, caches: list[Any]) -> list[Any]:
        """Return each teacher's logits of the next token, [count, V] on the CPU; the caches grow."""
        logits = []
        for i, model in enumerate(self.models):
            last = ids[:, -1:].to(model.module.device)
            out = model.module(last, past_key_values=caches[i], use_cache=True)
            caches[i] = out.past_key_values
            logits.append(out.logits[:, -1].float().cpu())
        return logits


def _draw(logp: Any, generator: Any) -> Any:
    """Draw one id a row, [n, 1], by inverting the cumulative distribution (multinomial is slow on a CPU)."""
    import torch

    steps = logp.double().exp().cumsum(dim=-1)
    level = torch.rand(len(logp), 1, dtype=torch.float64, generator=generator) * steps[:, -1:]
    return torch.searchsorted(steps, level, right=True).clamp_max(logp.shape[-1] - 1)
