"""Soft labels: the student matches the teacher's distribution (Hinton, Vinyals & Dean 2015)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from distbench.protocols import TrainingRecipe
from distbench.schema.strict import Chooses, Use
from distbench.schema.training import Budget, TeacherOutputs, Term


class SoftLabelsOptions(Budget):
    """Options of `distil: {use: soft-labels}`."""

    divergence: Annotated[str | Use, Chooses("losses")] = Field(
        "forward-kl", description="loss plug-in between the distributions; a mapping where it has options of its own"
    )
    temperature: float = Field(1.0, ge=0.05, le=100, description="softens both distributions; the loss is scaled by T²")
    label_weight: float = Field(0.0, ge=0, lt=1, description="weight of the cross-entropy on labels beside the KL")
    on_policy: float = Field(
        0.0, ge=0, le=1, description="share of batches whose text the student writes itself, scored by the teacher"
    )
    teacher_outputs: TeacherOutputs = Field(
        "auto", description="recorded once and shared, or asked for in every step; auto: recorded where that suffices"
    )


class SoftLabels:
    """A divergence from teacher to student, mixed with the labels if asked to."""

    Options = SoftLabelsOptions
    uses_teacher: ClassVar[bool] = True
    control: ClassVar[str] = "hard-labels"

    def __init__(self, options: SoftLabelsOptions) -> None:
        self.options = options

    def recipe(self, seed: int) -> TrainingRecipe:
        """Return the recipe of the distilled student."""
        o = self.options
        given = o.divergence if isinstance(o.divergence, Use) else Use(use=o.divergence)
        soft = Term(use=given.use, weight=1.0 - o.label_weight, **{"temperature": o.temperature, **given.options})
        labels = [Term(use="labels", weight=o.label_weight)] if o.label_weight else []
        return TrainingRecipe((soft, *labels), budget_of(o), seed, o.on_policy, o.teacher_outputs)


def budget_of(options: Budget) -> Budget:
    """Return only the budget of a method's options."""
    return Budget(**{name: getattr(options, name) for name in Budget.model_fields})
