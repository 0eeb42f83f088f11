"""Hard labels: plain supervised training, as a method of its own and as the control of every distillation."""

from __future__ import annotations

from typing import ClassVar

from distbench.protocols import TrainingRecipe
from distbench.schema.training import Budget, Term


class HardLabels:
    """Cross-entropy on labels; on sampled text the sampled tokens are the labels."""

    Options = Budget
    uses_teacher: ClassVar[bool] = False
    control: ClassVar[str] = ""

    def __init__(self, options: Budget) -> None:
        self.options = options

    def recipe(self, seed: int) -> TrainingRecipe:
        """Return the recipe of the student trained without the teacher's distribution."""
        return TrainingRecipe((Term(use="labels"),), self.options, seed)
