"""One unit of inference work of a model, whatever its kind, timed from inside: what latency and memory repeat."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

from distbench.errors import RunError

MILLISECOND = 1e-6  # of a nanosecond count


def synchroniser(model: Any) -> Callable[[], None]:
    """Return what must be called before a clock is read: a CUDA synchronise, or nothing on a CPU."""
    settings = getattr(model, "settings", None)
    if settings is None or not str(settings.device).startswith("cuda"):
        return lambda: None
    import torch

    return lambda: torch.cuda.synchronize(settings.device)


def generate_step(model: Any, prompt: Any, output_tokens: int) -> dict[str, float]:
    """Prefill a batch and decode greedily a fixed number of tokens.

    prompt: token ids [batch, length]. Returns ttft_ms, itl_ms (mean gap), e2e_ms, prefill and decode rates in tokens/s
    over the whole batch. The number of tokens is asserted: a model that stops early would look fast.
    """
    import torch

    sync = synchroniser(model)
    batch, length = prompt.shape
    stamps = []
    with torch.inference_mode():
        sync()
        start = perf_counter_ns()
        out = model.module(prompt, use_cache=True, logits_to_keep=1)
        token = out.logits[:, -1].argmax(dim=-1, keepdim=True)
        sync()
        stamps.append(perf_counter_ns())
        written = [token]
        for _ in range(output_tokens - 1):
            out = model.module(token, past_key_values=out.past_key_values, use_cache=True, logits_to_keep=1)
            token = out.logits[:, -1].argmax(dim=-1, keepdim=True)
            sync()
            stamps.append(perf_counter_ns())
            written.append(token)
    if len(stamps) != output_tokens or torch.cat(written, dim=1).shape != (batch, output_tokens):
        raise RunError(f"generated {len(stamps)} tokens, expected {output_tokens}")
    first, total = (stamps[0] - start) * MILLISECOND, (stamps[-1] - start) * MILLISECOND
    readings = {"ttft_ms": first, "e2e_ms": total, "prefill_tokens_per_s": batch * length / first * 1e3}
    if output_tokens > 1:
        readings["itl_ms"] = (total - first) / (output_tokens - 1)
        readings["decode_tokens_per_s"] = batch / readings["itl_ms"] * 1e3
    return readings


def classify_step(model: Any, x: Any) -> dict[str, float]:
    """Classify a batch x [n, features] once. Returns e2e_ms and samples_per_s."""
    start = perf_counter_ns()
    answers = model.classify(x)  # returns host memory, so the device has finished
    elapsed = (perf_counter_ns() - start) * MILLISECOND
    if len(answers) != len(x):
        raise RunError(f"classified {len(answers)} rows, expected {len(x)}")
    return {"e2e_ms": elapsed, "samples_per_s": len(x) / elapsed * 1e3}


def token_prompt(model: Any, batch: int, length: int, seed: int = 0) -> Any:
    """Return seeded random token ids [batch, length]: what a token is does not change the work of a dense decoder."""
    import torch

    generator = torch.Generator().manual_seed(seed)
    vocabulary = int(model.module.get_input_embeddings().num_embeddings)
    return torch.randint(0, vocabulary, (batch, length), generator=generator).to(model.module.device)


def step_of(
    model: Any, batch: int, shape: tuple[int, int], items: Callable[[int], Any]
) -> Callable[[], dict[str, float]]:
    """Return the call that does one unit of work at a batch size; shape = (prompt tokens, output tokens)."""
    if "causal-lm" in model.offers:
        prompt = token_prompt(model, batch, shape[0])
        return lambda: generate_step(model, prompt, shape[1])
    x = items(batch)
    return lambda: classify_step(model, x)
