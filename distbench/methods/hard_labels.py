"""Hard labels: plain supervised training, as a method of its own and as the control of every distillation."""

from __future__ import annotations

from typing import ClassVar

from distbench.methods.soft_labels import Budget
from distbench.protocols import TrainingRecipe


class HardLabels:
    """Cross-entropy on labels; on sampled text the sampled tokens are the labels."""

    Options = Budget
    uses_teacher: ClassVar[bool] = False
    control: ClassVar[str] = ""

    def __init__(self, options: Budget) -> None:
        self.options = options

    def recipe(self, seed: int) -> TrainingRecipe:
        """Return the recipe of the student trained without the teacher's distribution."""
        o = self.options
        return TrainingRecipe("hard", 1.0, 0.0, o.epochs, o.batch_size, o.learning_rate, seed)
