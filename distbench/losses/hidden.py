"""Hidden states: the student's are drawn towards the teacher's, layer by layer."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from distbench.errors import UsageError
from distbench.losses.features import LayerMap, Shape, layer_pairs
from distbench.schema.strict import Strict


class HiddenOptions(Strict):
    """Options of `hidden`."""

    measure: Literal["cosine", "mse"] = Field(
        "cosine",
        description="cosine: 1 − cosine of the angle; mse: mean over channels of squared differences",
    )
    layers: LayerMap = Field(
        "uniform",
        description="uniform: each student layer with the teacher's at the same relative depth; last; or a list of "
        "[student, teacher] pairs counted from 1, where 0 is the embeddings",
    )
    projector: Literal["auto", "linear", "none"] = Field(
        "auto",
        description="a linear map from student to teacher channels, trained along; auto: where sizes differ",
    )
    normalise: bool = Field(
        True, description="of mse: divide by the mean square of the teacher's states, so that 1 is as far as zero is"
    )


class HiddenStates:
    """Mean over layer pairs and counted positions of a distance of hidden vectors.

    With `mse` and a projector these are the hints of FitNets (Romero et al. 2015, section 2.2) and TinyBERT's hidden
    states (Jiao et al. 2020, section 3.1), with `cosine` DistilBERT's loss (Sanh et al. 2019, section 3). There layers
    are summed, here they are averaged: a weight means the same for any number of them. The papers' MSE is that of
    `normalise: false`; in deep language models a few channels of the residual stream are so large that it sees little
    else.
    """

    Options = HiddenOptions
    reads: ClassVar[str] = "hidden"
    asks: ClassVar[str] = "hidden"

    def __init__(self, options: HiddenOptions) -> None:
        self.options = options

    def build(self, student: Shape, teacher: Shape) -> Any:
        """Return the torch module, with its projectors.

        Raises UsageError for layers that are not there, and for sizes that differ with `projector: none`.
        """
        from distbench.losses.hidden_distance import HiddenDistance

        pairs = layer_pairs(self.options.layers, student, teacher, first=0, loss="hidden")
        differ = student.hidden != teacher.hidden
        if differ and self.options.projector == "none":
            s, t = pairs[0]
            raise UsageError(
                f"loss 'hidden': layer {s} of the student has {student.hidden} channels and layer {t} of the teacher "
                f"{teacher.hidden}; they cannot be compared with projector: none, use auto"
            )
        projects = differ or self.options.projector == "linear"
        return HiddenDistance(self.options, pairs, (student.hidden, teacher.hidden) if projects else None)
