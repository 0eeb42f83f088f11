"""Soft labels: the student matches the teacher's distribution (Hinton, Vinyals & Dean 2015)."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from distbench.protocols import TrainingRecipe
from distbench.schema.strict import Strict


class Budget(Strict):
    """What every training method shares. A value left out is the learner's default; the record says which."""

    epochs: float | None = Field(None, gt=0, le=100_000)
    batch_size: int | None = Field(None, ge=1, le=65_536)
    learning_rate: float | None = Field(None, gt=0, le=100)


class SoftLabelsOptions(Budget):
    """Options of `distil: {use: soft-labels}`."""

    temperature: float = Field(1.0, ge=0.05, le=100, description="softens both distributions; the loss is scaled by T²")
    label_weight: float = Field(0.0, ge=0, lt=1, description="weight of the cross-entropy on labels beside the KL")


class SoftLabels:
    """Forward KL from teacher to student."""

    Options = SoftLabelsOptions
    uses_teacher: ClassVar[bool] = True
    control: ClassVar[str] = "hard-labels"

    def __init__(self, options: SoftLabelsOptions) -> None:
        self.options = options

    def recipe(self, seed: int) -> TrainingRecipe:
        """Return the recipe of the distilled student."""
        o = self.options
        return TrainingRecipe("soft", o.temperature, o.label_weight, o.epochs, o.batch_size, o.learning_rate, seed)
