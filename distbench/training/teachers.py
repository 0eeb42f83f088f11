"""Teachers that are asked while a student trains: what was not recorded before."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from distbench.losses.head import Head, HeadInArithmetic, Room, head_of

Rows = Callable[[slice], list[Any]]


@dataclass
class Thought:
    """What the teachers made of a batch: their trunks' outputs, and how logits come from them."""

    outputs: list[Any]
    heads: list[Head | None]
    weights: Sequence[float]
    vocabulary: int  # the logits' width: what student and teachers have in common
    rooms: Sequence[Room]

    def logits(self, keep: Any) -> Rows:
        """Return a function of a slice of the kept positions to every teacher's logits there, each [n, V].

        Its results are valid until it is asked again.
        """
        states = [
            (out.logits if head is None else out.last_hidden_state).flatten(0, 1)
            for out, head in zip(self.outputs, self.heads, strict=True)
        ]
        states = states if keep is None else [state[keep] for state in states]

        heads = [
            None if head is None else _shared(head, self.vocabulary, room)
            for head, room in zip(self.heads, self.rooms, strict=True)
        ]

        def of(rows: slice) -> list[Any]:
            pairs = zip(heads, states, strict=True)
            return [
                state[rows, : self.vocabulary] if head is None else head.logits(state[rows]) for head, state in pairs
            ]

        return of


def _shared(head: Head, vocabulary: int, room: Room) -> HeadInArithmetic:
    bias = head.bias if head.bias is None else head.bias[:vocabulary]
    return HeadInArithmetic.of(head.weight[:vocabulary], bias, room)


class Tutors:
    """Teacher modules in evaluation mode, without gradients; the first is the one whose features are compared."""

    def __init__(self, modules: Sequence[Any], weights: Sequence[float]) -> None:
        self.modules = [module.eval().requires_grad_(False) for module in modules]
        self.weights = tuple(weights) or (1.0 / len(modules),) * len(modules)
        self.heads = [head_of(module) for module in self.modules]
        self.rooms = [Room() for _ in self.modules]

    def think(self, inputs: dict[str, Any], asked_for: dict[str, bool], vocabulary: int) -> Thought:
        """Return what the teachers make of the same rows as the student, over so many tokens."""
        outputs = []
        with torch.no_grad():
            for index, (module, head) in enumerate(zip(self.modules, self.heads, strict=True)):
                wanted = asked_for if index == 0 else {}
                if head is None:
                    outputs.append(module(**inputs, use_cache=False, **wanted))
                else:
                    outputs.append(head.hidden(inputs, **wanted))
        return Thought(outputs, self.heads, self.weights, vocabulary, self.rooms)

    def shapes(self, student: Any) -> tuple[Any, Any]:
        """Return the shapes of the student and of the first teacher, for losses that compare what is inside."""
        return shape_of(student), shape_of(self.modules[0])

    def shared_vocabulary(self, student: Any) -> int:
        """Return how many tokens teachers and student have in common.

        Of models with one tokenizer the output layers may still differ: some are padded to a round size. What lies
        beyond the smallest is no token of anybody's text.
        """
        return min(int(module.get_output_embeddings().weight.shape[0]) for module in (student, *self.modules))


def shape_of(module: Any) -> Any:
    """Return the numbers of layers, hidden channels and attention heads of a model."""
    from distbench.losses.features import Shape

    config = module.config.get_text_config(decoder=True)
    return Shape(config.num_hidden_layers, config.hidden_size, config.num_attention_heads)
