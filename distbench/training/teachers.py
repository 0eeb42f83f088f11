"""Teachers that are asked while a student trains: what was not recorded before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from distbench.errors import UsageError
from distbench.losses.head import Head, head_of

Rows = Callable[[slice], list[Any]]


@dataclass
class Thought:
    """What the teachers made of a batch: their trunks' outputs, and how logits come from them."""

    outputs: list[Any]
    heads: list[Head | None]
    weights: Sequence[float]

    def logits(self, keep: Any) -> Rows:
        """Return a function of a slice of the kept positions to every teacher's logits there, each [n, V]."""
        states = [
            (out.logits if head is None else out.last_hidden_state).flatten(0, 1)
            for out, head in zip(self.outputs, self.heads, strict=True)
        ]
        states = states if keep is None else [state[keep] for state in states]

        def of(rows: slice) -> list[Any]:
            with torch.no_grad():
                return [_logits(head, state[rows]) for head, state in zip(self.heads, states, strict=True)]

        return of


def _logits(head: Head | None, state: Any) -> Any:
    return state if head is None else torch.nn.functional.linear(state, head.weight, head.bias)


class Tutors:
    """Teacher modules in evaluation mode, without gradients; the first is the one whose features are compared."""

    def __init__(self, modules: Sequence[Any], weights: Sequence[float]) -> None:
        self.modules = [module.eval().requires_grad_(False) for module in modules]
        self.weights = tuple(weights) or (1.0 / len(modules),) * len(modules)
        self.heads = [head_of(module) for module in self.modules]

    def think(self, inputs: dict[str, Any], asked_for: dict[str, bool]) -> Thought:
        """Return what the teachers make of the same rows as the student."""
        outputs = []
        with torch.no_grad():
            for index, (module, head) in enumerate(zip(self.modules, self.heads, strict=True)):
                wanted = asked_for if index == 0 else {}
                if head is None:
                    outputs.append(module(**inputs, use_cache=False, **wanted))
                else:
                    outputs.append(head.hidden(inputs, **wanted))
        return Thought(outputs, self.heads, self.weights)

    def shapes(self, student: Any) -> tuple[Any, Any]:
        """Return the shapes of the student and of the first teacher, for losses that compare what is inside."""
        return shape_of(student), shape_of(self.modules[0])

    def check_vocabulary(self, student: Any) -> None:
        """Raise UsageError where a teacher's logits are not over the student's vocabulary."""
        size = student.get_output_embeddings().weight.shape[0]
        for module in self.modules:
            other = module.get_output_embeddings().weight.shape[0]
            if other != size:
                raise UsageError(
                    f"teacher and student have vocabularies of {other} and {size} tokens; pad one of them, or use a "
                    "sequence-level or cross-tokenizer method"
                )


def shape_of(module: Any) -> Any:
    """Return the numbers of layers, hidden channels and attention heads of a model."""
    from distbench.losses.features import Shape

    config = module.config.get_text_config(decoder=True)
    return Shape(config.num_hidden_layers, config.hidden_size, config.num_attention_heads)
