"""One unit of a language model's work: prefill a batch of prompts and decode a fixed number of tokens."""

from __future__ import annotations

from typing import Any

from distbench.errors import RunError
from distbench.protocols import Shape, Timing, Work

NEEDS = "decode"


def generation(model: Any, shape: Shape, seed: int = 0) -> Work:
    """Return the call that generates once, with prompts made beforehand and the same in every call.

    model offers "decode". The number of tokens is asserted: a model that stops early would look fast.
    """
    prompts = model.prompts(shape.batch, shape.prompt_tokens, seed)
    wanted = shape.output_tokens

    def work() -> Timing:
        decoded = model.decode(prompts, wanted)
        if decoded.tokens.shape != (shape.batch, wanted) or len(decoded.marks_ns) != wanted:
            raise RunError(
                f"generated {decoded.tokens.shape[-1]} tokens in {len(decoded.marks_ns)} steps, expected {wanted}"
            )
        return Timing(
            marks_ns=tuple(decoded.marks_ns),
            samples=shape.batch,
            prompt_tokens=shape.batch * shape.prompt_tokens,
            output_tokens=shape.batch * wanted,
        )

    return work
