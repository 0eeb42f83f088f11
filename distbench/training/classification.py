"""A classifier's objective: the same losses as a language model's, over its classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from distbench.data.feature_signal import FeatureSignal
from distbench.errors import RunError, UsageError
from distbench.losses.target import IGNORED, Softened, Target
from distbench.protocols import TrainingRecipe
from distbench.training.objective import Weighted, losses_of


@dataclass(frozen=True)
class Objective:
    """A weighted sum of losses, each a mean over the rows of a step that have what it needs.

    `losses` read class probabilities and are computed here, `inside` reads what lies before them.
    """

    losses: list[Weighted]
    inside: list[Weighted]

    @classmethod
    def of(cls, recipe: TrainingRecipe) -> Objective:
        """Return a recipe's objective. Raises UsageError for a loss that reads what no classifier's teacher tells."""
        losses = losses_of(recipe.terms)
        for each in losses:
            if each.reads == "logits" and each.asks not in ("nothing", "distribution"):
                raise UsageError(
                    f"loss {each.name!r} compares the {each.asks} of teacher and student; a classifier's teacher tells "
                    "class probabilities, and what is inside it"
                )
        inside = [each for each in losses if each.reads != "logits"]
        return cls([each for each in losses if each.reads == "logits"], inside)

    @property
    def asks_teacher(self) -> bool:
        """Whether any loss needs the teacher."""
        return any(each.asks != "nothing" for each in (*self.losses, *self.inside))

    def rows(self, signal: FeatureSignal) -> NDArray[np.int64]:
        """Return the training rows that say something to the objective: all with a teacher, else the labelled ones.

        Raises RunError where the signal lacks what the losses need.
        """
        if self.asks_teacher and signal.teacher_logp is None:
            raise RunError("soft labels need a teacher")
        rows = np.arange(signal.examples) if self.asks_teacher else signal.labelled
        if not len(rows):
            raise RunError("0 examples to learn from" if self.asks_teacher else "no labelled example to learn from")
        return rows

    def __call__(self, logits: Any, target: Target, rows: int, labelled: int) -> Any:
        """Return a batch's part of the loss of its step, which has so many rows and labelled rows; logits [n, C]."""
        loss = logits.sum() * 0.0  # a batch without any label has a gradient too
        for each in self.losses:
            if count := rows if each.asks != "nothing" else labelled:
                loss = loss + each.weight * each.loss(logits, target) / count
        return loss


def target_of(signal: FeatureSignal, device: Any) -> Target:
    """Return labels and the teacher's probabilities as tensors; -1, no label, becomes `IGNORED`."""
    import torch

    labels = torch.from_numpy(signal.y).to(device)
    teacher = None
    if signal.teacher_logp is not None:
        teacher = Softened(torch.from_numpy(signal.teacher_logp).float().to(device), signal.temperature)
    return Target(torch.where(labels < 0, IGNORED, labels), teacher)


def label_entropy(probabilities: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Return the mean cross-entropy on labels in nats; infinite where a label has probability 0."""
    with np.errstate(divide="ignore"):
        return float(-np.log(probabilities[np.arange(len(y)), y]).mean())
