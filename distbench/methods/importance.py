"""What matters in a decoder: measured on text, by forward passes alone.

A block: its block influence, 1 − the mean cosine between what enters and what leaves it (Men et al. 2024, ShortGPT,
section 2.3, https://arxiv.org/abs/2403.03853). A feature inside a block (a neuron, a channel of a head, a channel of
the residual stream behind a norm): the root of the sum over rows of the squared mean over a row's tokens of its
absolute activation (Muralidharan et al. 2024, Minitron, section 2.2 with their choice of mean over the sequence and L2
over the batch, https://arxiv.org/abs/2407.14679).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distbench.data.calibration import counted
from distbench.data.token_signal import TokenRows

FORWARD_TOKENS = 4096  # through the model at once
See = Callable[[Any, Any, Any], None]  # (a part's input [n, L, d], its output, which tokens count [n, L] bool)


class Influence:
    """1 − the mean cosine between a block's input and output, over all tokens that count."""

    def __init__(self) -> None:
        self._total, self._count = 0.0, 0

    def __call__(self, before: Any, after: Any, mask: Any) -> None:
        """See a batch."""
        from torch.nn.functional import cosine_similarity

        turned = 1.0 - cosine_similarity(before[mask].double(), after[mask].double(), dim=-1)
        self._total += float(turned.sum())
        self._count += int(mask.sum())

    @property
    def value(self) -> float:
        """The influence, 0 (nothing changes) to 2 (everything is reversed)."""
        return self._total / self._count


class Strength:
    """How strongly each feature of a part's input (or output) is active."""

    def __init__(self, *, of_output: bool = False) -> None:
        self._of_output, self._total = of_output, None

    def __call__(self, before: Any, after: Any, mask: Any) -> None:
        """See a batch."""
        shown = (after if self._of_output else before).abs().double() * mask.unsqueeze(-1)
        each = shown.sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp_min(1)
        total = each.square().sum(dim=0)
        self._total = total if self._total is None else self._total + total

    @property
    def values(self) -> NDArray[np.float64]:
        """One number a feature."""
        assert self._total is not None, "nothing was seen"
        found: NDArray[np.float64] = self._total.sqrt().cpu().numpy()
        return found


class Level:
    """The root mean square of a part's input over some channels, relative to that over all: its mean over the tokens.

    An RMS norm divides by it, so without the other channels its output would shrink by this factor.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        self._channels, self._total, self._count = list(channels), 0.0, 0

    def __call__(self, before: Any, after: Any, mask: Any) -> None:
        """See a batch."""
        squares = before[mask].double().square()
        ratio = (squares[:, self._channels].mean(dim=-1) / squares.mean(dim=-1)).sqrt()
        self._total += float(ratio.sum())
        self._count += len(ratio)

    @property
    def value(self) -> float:
        """The factor; above 1 where the channels are louder than the average one."""
        return self._total / self._count


def observe(module: Any, rows: TokenRows, watched: Sequence[tuple[Any, See]]) -> None:
    """Run the rows through a model, and show every watched part's inputs and outputs."""
    import torch

    mask = counted(rows)
    batch = max(1, FORWARD_TOKENS // mask.shape[1])
    now: list[Any] = [None]
    with ExitStack() as hooks, torch.no_grad():
        for part, see in watched:
            handle = part.register_forward_hook(_hook(see, now), with_kwargs=True)
            hooks.callback(handle.remove)
        for start in range(0, len(rows), batch):
            chosen = slice(start, start + batch)
            now[0] = mask[chosen].to(module.device)
            module.get_decoder()(**rows.take(chosen).inputs(module.device), use_cache=False)


def _hook(see: See, now: list[Any]) -> Callable[..., None]:
    def hook(part: Any, given: tuple[Any, ...], named: dict[str, Any], out: Any) -> None:
        see(given[0] if given else named["hidden_states"], out[0] if isinstance(out, tuple) else out, now[0])

    return hook


def block_influence(model: Any, rows: TokenRows) -> list[float]:
    """Return each decoder block's influence on a loaded causal language model's residual stream."""
    blocks = model.module.get_decoder().layers
    seen = [Influence() for _ in blocks]
    observe(model.module, rows, list(zip(blocks, seen, strict=True)))
    return [each.value for each in seen]


def strongest(scores: NDArray[np.float64] | Sequence[float], count: int) -> list[int]:
    """Return the indices of the `count` largest scores, sorted; of equal ones the first."""
    order = np.argsort(-np.asarray(scores, dtype=np.float64), kind="stable")
    return sorted(int(i) for i in order[:count])
