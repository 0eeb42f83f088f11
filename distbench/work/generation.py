"""One unit of a language model's work: prefill a batch of prompts and decode a fixed number of tokens."""

from __future__ import annotations

from typing import Any

from distbench.errors import RunError
from distbench.protocols import Decoded, Shape, Timing, Work

NEEDS = "decode"


def generation(model: Any, shape: Shape, seed: int = 0) -> Work:
    """Return the call that generates once, with prompts made beforehand and the same in every call.

    model offers "decode". The number of tokens is asserted: a model that stops early would look fast.
    """
    prompts = model.prompts(shape.batch, shape.prompt_tokens, seed)
    wanted = shape.output_tokens

    def work() -> Timing:
        decoded = model.decode(prompts, wanted)
        served = decoded.lengths is not None
        check_lengths(decoded, shape.batch, wanted)
        return Timing(
            marks_ns=tuple(decoded.marks_ns),
            samples=shape.batch,
            prompt_tokens=decoded.prompt_tokens if served else shape.batch * shape.prompt_tokens,
            output_tokens=shape.batch * wanted,
        )

    return work


def check_lengths(decoded: Decoded, batch: int, wanted: int) -> None:
    """Raise RunError where a prompt did not get the tokens that were asked for."""
    steps = len(decoded.marks_ns)
    if decoded.lengths is not None:  # a piece of a server's text may hold several tokens
        if len(decoded.lengths) != batch or set(decoded.lengths) != {wanted} or not steps:
            raise RunError(f"generated {decoded.lengths} tokens in {steps} pieces, expected {wanted} each")
    elif decoded.tokens.shape != (batch, wanted) or steps != wanted:
        raise RunError(f"generated {decoded.tokens.shape[-1]} tokens in {steps} steps, expected {wanted}")
