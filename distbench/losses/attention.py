"""Attention maps: the student looks where the teacher looks."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from distbench.errors import UsageError
from distbench.losses.features import LayerMap, Shape, layer_pairs
from distbench.schema.strict import Strict


class AttentionOptions(Strict):
    """Options of `attention`."""

    measure: Literal["kl", "mse"] = Field(
        "kl", description="kl: KL(teacher ‖ student) of each query's weights (MiniLM); mse: their squared differences"
    )
    layers: LayerMap = Field(
        "last",
        description="last; uniform: each student layer with the teacher's at the same relative depth; or a list of "
        "[student, teacher] pairs counted from 1",
    )
    heads: Literal["auto", "each", "mean"] = Field(
        "auto", description="each head with its like, or the mean over heads; auto: each where their numbers are equal"
    )


class AttentionMaps:
    """Mean over layer pairs, heads and counted queries of a distance between distributions over keys.

    `kl` on the last layer is MiniLM's attention transfer (Wang et al. 2020, section 3.1). `mse` is after TinyBERT
    (Jiao et al. 2020, section 3.1), with two differences: maps are compared after the softmax, which is what models
    return, and squares are summed over keys, not averaged, so that long sequences do not shrink the loss.
    """

    Options = AttentionOptions
    reads: ClassVar[str] = "attention"
    asks: ClassVar[str] = "attention"

    def __init__(self, options: AttentionOptions) -> None:
        self.options = options

    def build(self, student: Shape, teacher: Shape) -> Any:
        """Return the torch module. Raises UsageError for layers that are not there, and for heads without a like."""
        from distbench.losses.attention_distance import AttentionDistance

        pairs = layer_pairs(self.options.layers, student, teacher, first=1, loss="attention")
        differ = student.heads != teacher.heads
        if differ and self.options.heads == "each":
            raise UsageError(
                f"loss 'attention': layers of the student have {student.heads} heads and those of the teacher "
                f"{teacher.heads}; compare their means (heads: mean)"
            )
        return AttentionDistance(self.options.measure, pairs, means=differ or self.options.heads == "mean")
