"""The terms of a recipe, loaded: what each reads of the student and asks of the teacher."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from distbench import plugins
from distbench.schema.training import Term


@dataclass(frozen=True)
class Weighted:
    """A loss with its weight in the sum."""

    name: str
    weight: float
    loss: Any

    @property
    def asks(self) -> str:
        """What it wants of the teacher."""
        return str(type(self.loss).asks)

    @property
    def reads(self) -> str:
        """What it compares."""
        return str(type(self.loss).reads)


def losses_of(terms: Sequence[Term]) -> list[Weighted]:
    """Return the losses of a recipe's terms."""
    return [
        Weighted(term.use, term.weight, plugins.load("losses", term.use)(plugins.options("losses", term)))
        for term in terms
    ]
