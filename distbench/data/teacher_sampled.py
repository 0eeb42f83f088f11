"""Data-free distillation: the teacher writes the training text, and its distribution is recorded while it writes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from distbench.data.token_signal import TokenSignal
from distbench.errors import UsageError
from distbench.hashing import digest
from distbench.protocols import Progress
from distbench.schema.strict import Strict
from distbench.store.cache import Cache

CODE_VERSION = 1  # part of the cache key: raise it when the same options would give other data
TOP_K = 64
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
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm"})

    def __init__(self, options: TeacherSampledOptions) -> None:
        self.options = options

    def identity(self) -> dict[str, Any]:
        """Return the version of the sampling code."""
        return {"code": CODE_VERSION, "top_k": TOP_K}

    def key(self, teachers: list[str], temperature: float, seed: int) -> str:
        """Return the content key of the signal that these teachers (identities) would give."""
        return digest([self.options, self.identity(), teachers, temperature, seed])

    def signal(self, teachers: list[Any], temperature: float, seed: int, progress: Progress) -> TokenSignal:
        """Return the recorded signal, sampling it when no run has before."""
        if not teachers:
            raise UsageError("data 'teacher-sampled' needs a teacher to sample from")
        key = self.key([teacher.identity for teacher in teachers], temperature, seed)

        def make(folder: Path) -> None:
            models = [teacher.open() for teacher in teachers]
            sample(models, self.options, temperature, seed, progress).save(folder)

        folder, cached = Cache().get_or_make("signals", key, make)
        return TokenSignal.load(folder, key, from_cache=cached)


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


def sample(
    models: list[Any], options: TeacherSampledOptions, temperature: float, seed: int, progress: Progress
) -> TokenSignal:
    """Sample all sequences in batches and keep the teacher's distribution at every step."""
    import torch

    began = time.perf_counter()
    total = options.sequences + options.heldout
    start = options.start if options.start is not None else start_token(models[0].tokenizer)
    generator = torch.Generator().manual_seed(seed)
    parts: dict[str, list[Any]] = {"ids": [], "top_ids": [], "top_logp": [], "full": []}
    for first in range(0, total, BATCH):
        count = min(BATCH, total - first)
        keep = range(max(0, options.sequences - first), count)  # rows of this batch that are held out
        batch = _sample_batch(models, (start, count, options.length), temperature, generator, keep)
        for name, tensor in batch.items():
            parts[name].append(tensor)
        progress(first + count, total, "sampling from the teacher")
    joined = {name: torch.cat(tensors) for name, tensors in parts.items()}
    n = options.sequences
    return TokenSignal(
        ids=joined["ids"][:n],
        top_ids=joined["top_ids"][:n],
        top_logp=joined["top_logp"][:n],
        heldout_ids=joined["ids"][n:],
        heldout_logp=joined["full"],
        temperature=temperature,
        digest="",
        seconds=time.perf_counter() - began,
        from_cache=False,
    )


def _sample_batch(
    models: list[Any], shape: tuple[int, int, int], temperature: float, generator: Any, keep: range
) -> dict[str, Any]:
    import torch

    start, count, length = shape
    device = models[0].module.device
    ids = torch.full((count, 1), start, dtype=torch.long)
    caches: list[Any] = [None] * len(models)
    tops, values, full = [], [], []
    with torch.inference_mode():
        for _ in range(length):
            logits = []
            for i, model in enumerate(models):
                out = model.module(ids[:, -1:].to(device), past_key_values=caches[i], use_cache=True)
                caches[i] = out.past_key_values
                logits.append(out.logits[:, -1].float().cpu())
            written = _mean_logp(logits, 1.0)
            # A T other than 1 softens what the student sees, never what the teacher writes.
            taught = written if temperature == 1.0 else _mean_logp(logits, temperature)
            value, top = taught.topk(min(TOP_K, taught.shape[-1]), dim=-1)
            tops.append(top.int())
            values.append(value.half())
            full.append(written[keep.start : keep.stop].half())
            ids = torch.cat([ids, _draw(written, generator)], dim=1)
    return {
        "ids": ids.int(),
        "top_ids": torch.stack(tops, 1),
        "top_logp": torch.stack(values, 1),
        "full": torch.stack(full, 1),
    }


def _draw(logp: Any, generator: Any) -> Any:
    """Draw one id a row, [n, 1], by inverting the cumulative distribution (multinomial is slow on a CPU)."""
    import torch

    steps = logp.double().exp().cumsum(dim=-1)
    level = torch.rand(len(logp), 1, dtype=torch.float64, generator=generator) * steps[:, -1:]
    return torch.searchsorted(steps, level, right=True).clamp_max(logp.shape[-1] - 1)


def _mean_logp(logits: list[Any], temperature: float) -> Any:
    """Return the log of the teachers' mean distribution, [n, V]."""
    import torch

    each = torch.stack([torch.log_softmax(one / temperature, dim=-1) for one in logits])
    return each[0] if len(logits) == 1 else torch.logsumexp(each, dim=0) - torch.log(torch.tensor(float(len(logits))))
