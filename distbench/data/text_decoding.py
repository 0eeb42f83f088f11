"""Writing with a causal language model in torch: many prompts of any length at once, greedily or drawn."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decoding:
    """How tokens are chosen: at most `most`, up to and including the first of `ends`.

    temperature 0: the likeliest token. Otherwise token k of prompt i is drawn at `levels`[i, k], numbers between 0 and
    1 [n, most] float64: so what a prompt gets does not hang on what else is in its batch.
    """

    most: int
    ends: frozenset[int]
    temperature: float = 0.0
    levels: Any = None


def continue_rows(module: Any, prompts: Sequence[Sequence[int]], how: Decoding, batch: int) -> list[list[int]]:
    """Return what the module writes after each prompt (token ids, at least one each), `batch` prompts at a time.

    Shorter prompts are padded on the left, where no token sees them, and positions are counted from a prompt's own
    start. A module that takes no positions gets prompts of one length at a time instead. The module is put into
    evaluation mode meanwhile; no gradient is recorded.
    """
    import torch

    written: list[list[int]] = [[] for _ in prompts]
    training = module.training
    module.eval()
    try:
        with torch.no_grad():  # not inference mode: a student will be trained on what it wrote
            for chosen in _batches(prompts, batch, padded=_takes_positions(module)):
                levels = None if how.levels is None else how.levels[chosen]
                found = _write(module, [prompts[i] for i in chosen], how, levels)
                for index, tokens in zip(chosen, found, strict=True):
                    written[index] = tokens
    finally:
        module.train(training)
    return written


def draw(logits: Any, temperature: float, levels: Any) -> Any:
    """Draw one id a row, [n], by inverting the cumulative distribution at `levels` [n]; logits [n, V]."""
    import torch

    steps = torch.softmax(logits.double() / temperature, dim=-1).cumsum(dim=-1)
    level = levels.to(steps.device).unsqueeze(1) * steps[:, -1:]
    return torch.searchsorted(steps, level, right=True).clamp_max(logits.shape[-1] - 1).squeeze(1)


def _takes_positions(module: Any) -> bool:
    return "position_ids" in inspect.signature(module.forward).parameters


def _batches(prompts: Sequence[Sequence[int]], batch: int, *, padded: bool) -> list[list[int]]:
    """Return which prompts go together: of like length, so that little is padded."""
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))
    groups: list[list[int]] = []
    for index in order:
        last = groups[-1] if groups else []
        fits = bool(last) and len(last) < batch
        if fits and (padded or len(prompts[last[0]]) == len(prompts[index])):
            last.append(index)
        else:
            groups.append([index])
    return groups


def _write(module: Any, prompts: Sequence[Sequence[int]], how: Decoding, levels: Any) -> list[list[int]]:
    import torch

    device = module.device
    ids, seen = (tensor.to(device) for tensor in _left_padded(prompts))
    positions = (seen.cumsum(dim=1) - 1).clamp_min(0)
    even = bool(seen.all())
    done = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    ends = torch.tensor(sorted(how.ends), dtype=torch.long, device=device)
    columns, cache = [], None
    for step in range(how.most):
        given = {} if even else {"attention_mask": seen, "position_ids": positions}
        out = module(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1, **given)
        cache, logits = out.past_key_values, out.logits[:, -1].float()
        token = logits.argmax(dim=-1) if how.temperature == 0.0 else draw(logits, how.temperature, levels[:, step])
        columns.append(token)
        done |= torch.isin(token, ends)
        if bool(done.all()):
            break
        ids, positions = token.unsqueeze(1), positions[:, -1:] + 1
        seen = torch.cat([seen, seen.new_ones(len(prompts), 1)], dim=1)
    written = torch.stack(columns, dim=1).tolist()
    return [_up_to_end(tokens, how.ends) for tokens in written]


def _left_padded(prompts: Sequence[Sequence[int]]) -> tuple[Any, Any]:
    """Return ids [n, longest] int64 with the prompts at the right, and 1 where they stand."""
    import torch

    longest = max(map(len, prompts))
    ids = torch.zeros(len(prompts), longest, dtype=torch.long)
    seen = torch.zeros(len(prompts), longest, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, longest - len(prompt) :] = torch.tensor(prompt, dtype=torch.long)
        seen[row, longest - len(prompt) :] = 1
    return ids, seen


def _up_to_end(tokens: list[int], ends: frozenset[int]) -> list[int]:
    stop = next((at + 1 for at, token in enumerate(tokens) if token in ends), len(tokens))
    return tokens[:stop]
