"""Several losses at once, each with its weight: DistilBERT's three, a teacher's hidden states, relations."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from distbench.methods.soft_labels import budget_of
from distbench.protocols import TrainingRecipe
from distbench.schema.strict import Chooses
from distbench.schema.training import Budget, TeacherOutputs, Term


class CombinedOptions(Budget):
    """Options of `distil: {use: combined}`."""

    losses: Annotated[list[Term], Field(min_length=1, max_length=16), Chooses("losses")]
    on_policy: float = Field(0.0, ge=0, le=1, description="share of batches whose text the student writes itself")
    teacher_outputs: TeacherOutputs = "auto"


class Combined:
    """The weighted sum of the losses that the suite lists."""

    Options = CombinedOptions
    uses_teacher: ClassVar[bool] = True
    control: ClassVar[str] = "hard-labels"

    def __init__(self, options: CombinedOptions) -> None:
        self.options = options

    def recipe(self, seed: int) -> TrainingRecipe:
        """Return the recipe with these losses."""
        o = self.options
        return TrainingRecipe(tuple(o.losses), budget_of(o), seed, o.on_policy, o.teacher_outputs)
