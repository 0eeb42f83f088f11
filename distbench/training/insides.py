"""What is inside a classifier and its teacher, compared while it learns: hidden states, attention maps, relations.

A classifier's other losses read class probabilities, which are recorded once; a teacher that is looked into is asked in
every step, on the rows that its student sees.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from distbench.data.feature_signal import FeatureSignal
from distbench.errors import UsageError
from distbench.losses.features import Outputs, Shape
from distbench.protocols import LearnSession
from distbench.training.objective import Weighted

KEYS = {"hidden": "output_hidden_states", "attention": "output_attentions"}  # what a transformers module is asked by


@dataclass(frozen=True)
class Inside:
    """What a classifier computed of n rows: logits [n, classes], what lies before them, and which of the L positions of
    a row count, mask [n, L]. ids [n, L]: the tokens at them; None for images."""

    logits: Any
    outputs: Outputs
    mask: Any
    ids: Any = None


class Insider(Protocol):
    """A classifier that can be looked into."""

    module: Any  # torch.nn.Module

    def attend(self, signal: FeatureSignal) -> None:
        """Take the training rows, which are named by their number afterwards."""
        ...

    def shape(self) -> Shape:
        """Return how large it is; UsageError where it has no layers that are alike."""
        ...

    def inside(self, rows: NDArray[np.int64], asked: dict[str, bool]) -> Inside:
        """Return what it computes of training rows, with a gradient."""
        ...


class Insides(torch.nn.Module):
    """The losses that look inside, with the projectors that some of them train along."""

    def __init__(self, losses: Sequence[Weighted], student: Insider, teacher: Insider) -> None:
        super().__init__()
        self.teacher = (teacher,)  # in a tuple: a module of its own would be trained and saved
        teacher.module.eval().requires_grad_(False)
        reads = {each.reads for each in losses}
        self.asked = {KEYS[each]: True for each in sorted(reads)}
        if "attention" in reads:  # the fused kernels never hold the map
            for module in (student.module, teacher.module):
                module.set_attn_implementation("eager")
        shapes = student.shape(), teacher.shape()
        self.losses = torch.nn.ModuleList(each.loss.build(*shapes) for each in losses)
        self.weights = [each.weight for each in losses]

    def forward(self, rows: NDArray[np.int64], ours: Inside) -> Any:
        """Return the weighted sum of the losses, each a mean over these rows."""
        with torch.no_grad():
            theirs = self.teacher[0].inside(rows, self.asked)
        _refuse_other_positions(ours, theirs)
        found = (loss(ours.outputs, theirs.outputs, ours.mask) for loss in self.losses)
        return sum(weight * value for weight, value in zip(self.weights, found, strict=True))


def insides_of(
    losses: Sequence[Weighted], student: Any, signal: FeatureSignal, session: LearnSession
) -> Insides | None:
    """Return the losses that look inside, with the first teacher opened; None where there are none.

    Raises UsageError for a student, or a teacher, that cannot be looked into.
    """
    if not losses:
        return None
    what = f"loss {losses[0].name!r} compares the {losses[0].reads} of student and teacher"
    if not hasattr(student, "inside"):
        raise UsageError(f"{what}; this student shows nothing of the kind")
    if not session.teachers:
        raise UsageError(f"{what}; it needs a teacher while training")
    teacher = session.teachers[0].open()
    if not hasattr(teacher, "inside"):
        raise UsageError(f"{what}; this teacher shows nothing of the kind")
    teacher.attend(signal)
    return Insides(losses, student, teacher).to(student.device)


def _refuse_other_positions(ours: Inside, theirs: Inside) -> None:
    """Raise UsageError where position k of the student is not position k of the teacher."""
    if ours.mask.shape != theirs.mask.shape:
        sizes = ours.mask.shape[1], theirs.mask.shape[1]
        raise UsageError(
            f"the student sees a row as {sizes[0]} positions and the teacher as {sizes[1]} (other patches, another "
            "tokenizer or max_length); what is inside them cannot be compared"
        )
    if ours.ids is not None and not (theirs.ids is not None and torch.equal(ours.ids, theirs.ids)):
        raise UsageError("student and teacher cut texts into different tokens; what is inside them cannot be compared")
