"""Relations: sequences that are near each other for the teacher are near each other for the student."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from distbench.losses.features import Shape
from distbench.schema.strict import Strict


class RelationOptions(Strict):
    """Options of `relation`."""

    distance: float = Field(1.0, ge=0, le=1e6, description="weight of the distances between two sequences")
    angle: float = Field(2.0, ge=0, le=1e6, description="weight of the angles between three")
    pool: Literal["mean", "last"] = Field(
        "mean", description="what stands for a sequence: the mean of its counted positions, or the last of them"
    )

    @model_validator(mode="after")
    def _something_is_compared(self) -> Self:
        if self.distance == 0 and self.angle == 0:
            raise ValueError("distance and angle are both 0: nothing is compared")
        return self


class Relations:
    """Relational distillation (RKD, Park et al. 2019, sections 3.2 and 3.3) over the last hidden states of a batch.

    Distances are divided by their mean, so that models of different sizes can be compared and no projector is needed;
    both terms are Huber losses (δ = 1), averaged over ordered pairs and triples of different sequences. The authors'
    code averages over all n² and n³, those of one sequence with itself included, which are 0. The default weights are
    theirs for metric learning. A packed row counts as one sequence: pack nothing where documents should be compared.
    """

    Options = RelationOptions
    reads: ClassVar[str] = "hidden"
    asks: ClassVar[str] = "hidden"

    def __init__(self, options: RelationOptions) -> None:
        self.options = options

    def build(self, student: Shape, teacher: Shape) -> Any:
        """Return the torch module."""
        from distbench.losses.relation_distance import RelationDistance

        return RelationDistance(self.options)
