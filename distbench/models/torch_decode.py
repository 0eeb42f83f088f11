"""Greedy decoding of a fixed number of tokens, with the moment each one was known."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from distbench.protocols import Decoded

if TYPE_CHECKING:
    import torch

MILLISECOND = 1_000_000  # ns


def random_prompts(module: Any, batch: int, length: int, seed: int) -> torch.Tensor:
    """Return seeded random token ids [batch, length] on the module's device."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    vocabulary = int(module.get_input_embeddings().num_embeddings)
    return torch.randint(0, vocabulary, (batch, length), generator=generator).to(module.device)


def decode_greedily(module: Any, prompts: torch.Tensor, output_tokens: int) -> Decoded:
    """Return `output_tokens` greedy tokens a prompt [batch, n] and when each column was known.

    prompts: [batch, length], no padding. On a GPU the marks are CUDA events, so that the host need not wait for each
    token (which would slow down what is measured); on a CPU they are perf_counter_ns.
    """

    def first() -> Any:
        return module(prompts, use_cache=True, logits_to_keep=1)

    def step(token: torch.Tensor, out: Any) -> Any:
        return module(token, past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)

    return greedy_loop(prompts.device, first, step, output_tokens)


def greedy_loop(
    device: torch.device, first: Callable[[], Any], step: Callable[[torch.Tensor, Any], Any], output_tokens: int
) -> Decoded:
    """Time `first`, the prefill, and `output_tokens` − 1 times `step`, which gets the last token and output."""
    import torch

    stamp = _Events(device) if device.type == "cuda" else _Clock()
    written = []
    with torch.inference_mode():
        stamp.start()
        out = first()
        for left in range(output_tokens - 1, -1, -1):
            token = out.logits[:, -1].argmax(dim=-1, keepdim=True)
            stamp.mark()
            written.append(token)
            if left:
                out = step(token, out)
    return Decoded(torch.cat(written, dim=1).cpu().numpy(), stamp.marks())


def cache_bytes(module: Any, prompts: torch.Tensor) -> int:
    """Return the bytes of all tensors of the key-value cache after a prefill of prompts [batch, length]."""
    import torch

    with torch.inference_mode():
        cache = module(prompts, use_cache=True, logits_to_keep=1).past_key_values
    tensors = [part for layer in cache.layers for part in vars(layer).values() if isinstance(part, torch.Tensor)]
    return sum(part.numel() * part.element_size() for part in tensors)


class _Clock:
    """The host's clock, for a device that computes while the host waits."""

    def start(self) -> None:
        self._marks: list[int] = []
        self._start = perf_counter_ns()

    def mark(self) -> None:
        self._marks.append(perf_counter_ns() - self._start)

    def marks(self) -> tuple[int, ...]:
        return tuple(self._marks)


class _Events:
    """CUDA events on the stream that computes; resolution about half a microsecond."""

    def __init__(self, device: torch.device) -> None:
        import torch

        self._cuda: Any = torch.cuda  # its classes carry no types
        self._device = device

    def start(self) -> None:
        self._events: list[Any] = []
        self._cuda.synchronize(self._device)
        self.mark()

    def mark(self) -> None:
        event = self._cuda.Event(enable_timing=True)
        event.record(self._cuda.current_stream(self._device))
        self._events.append(event)

    def marks(self) -> tuple[int, ...]:
        self._cuda.synchronize(self._device)
        start, *rest = self._events
        return tuple(round(start.elapsed_time(event) * MILLISECOND) for event in rest)
