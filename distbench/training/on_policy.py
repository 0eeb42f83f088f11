"""What a student writes itself while it is trained, to be scored by the teacher (Agarwal et al. 2024, section 3)."""

from __future__ import annotations

from typing import Any

from distbench.data.text_decoding import Decoding, continue_rows
from distbench.data.token_signal import PADDING, TokenRows
from distbench.errors import UsageError

BATCH = 64  # rows that are written at once


def write(
    module: Any,
    prompts: TokenRows,
    length: int,
    *,
    seed: int,
    step: int,
    temperature: float = 1.0,
    ends: frozenset[int] | None = None,
) -> TokenRows:
    """Return rows of `length` + 1 tokens, in which the student goes on with each row's prompt until it ends the text.

    The prompt is what stands before the first token that is learned; where all of a row is learned, its first token. Of
    a packed row only the first document is taken up. What was written is scored, its end token included; what follows
    that is padding. The same seed, step and weights give the same rows: a resumed training writes them again. `ends`
    None: the end tokens of the module's own generation configuration.

    Raises UsageError where a prompt leaves no room in `length` + 1 tokens.
    """
    import torch

    stops = ends_of(module) if ends is None else ends
    starts = [_prompt(row, scored) for row, scored in zip(prompts.ids.tolist(), prompts.mask().tolist(), strict=True)]
    longest = max(map(len, starts))
    if longest > length:
        raise UsageError(f"a prompt of {longest} tokens leaves no room in rows of {length + 1}; give a larger length")
    generator = torch.Generator().manual_seed(_mixed(seed, step))
    most = length + 1 - min(map(len, starts))
    levels = torch.rand(len(starts), most, dtype=torch.float64, generator=generator)
    written = continue_rows(module, starts, Decoding(most, stops, temperature, levels), BATCH)
    return _rows(starts, written, length + 1, prompts.ids.device)


def ends_of(module: Any) -> frozenset[int]:
    """Return the tokens that end a text by a module's generation configuration, else by its configuration."""
    for config in (getattr(module, "generation_config", None), module.config):
        stated = getattr(config, "eos_token_id", None)
        if stated is not None:
            return frozenset(stated if isinstance(stated, list) else [stated])
    return frozenset()


def _mixed(seed: int, step: int) -> int:
    """Return one seed for a step: neighbouring seeds and steps must not share numbers."""
    from distbench.hashing import digest

    return int(digest(["on-policy", seed, step])[:15], 16)


def _prompt(row: list[int], scored: list[bool]) -> list[int]:
    first = scored.index(True) if True in scored else 0
    return row[: first + 1]


def _rows(starts: list[list[int]], written: list[list[int]], width: int, device: Any) -> TokenRows:
    import torch

    ids = torch.zeros(len(starts), width, dtype=torch.int32)
    documents = torch.full((len(starts), width), PADDING, dtype=torch.int32)
    scored = torch.zeros(len(starts), width - 1, dtype=torch.bool)
    for row, (prompt, answer) in enumerate(zip(starts, written, strict=True)):
        tokens = [*prompt, *answer][:width]
        ids[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.int32)
        documents[row, : len(tokens)] = 0
        scored[row, len(prompt) - 1 : len(tokens) - 1] = True
    return TokenRows(ids.to(device), documents.to(device), scored.to(device))
