"""A classifier's objective: the same losses as a language model's, over its classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from distbench.data.feature_signal import FeatureSignal
from distbench.errors import RunError, UsageError
from distbench.losses.target import IGNORED, Softened, Target
from distbench.protocols import TrainingRecipe
from distbench.training.objective import Weighted, losses_of


@dataclass(frozen=True)
class Objective:
    """A weighted sum of losses, each a mean over the rows of a batch that have what it needs."""

    losses: list[Weighted]

    @classmethod
    def of(cls, recipe: TrainingRecipe) -> Objective:
        """Return a recipe's objective. Raises UsageError for a loss that does not read logits."""
        losses = losses_of(recipe.terms)
        for each in losses:
            if each.reads != "logits" or each.asks not in ("nothing", "distribution"):
                raise UsageError(
                    f"loss {each.name!r} reads {each.reads}; this learner shows its class probabilities only"
                )
        return cls(losses)

    @property
    def asks_teacher(self) -> bool:
        """Whether any loss needs the teacher."""
        return any(each.asks != "nothing" for each in self.losses)

    def check(self, signal: FeatureSignal) -> None:
        """Raise RunError where the signal lacks what the losses need."""
        if self.asks_teacher and signal.teacher_logp is None:
            raise RunError("soft labels need a teacher")
        if not self.asks_teacher and not bool((signal.y >= 0).any()):
            raise RunError("no labelled example to learn from")

    def __call__(self, logits: Any, target: Target) -> Any:
        """Return the loss of a batch; logits [n, classes]."""
        loss = logits.new_zeros(())
        labelled = int((target.labels != IGNORED).sum())
        for each in self.losses:
            rows = len(logits) if each.asks != "nothing" else labelled
            if rows:
                loss = loss + each.weight * each.loss(logits, target) / rows
        return loss


def target_of(signal: FeatureSignal, device: Any) -> Target:
    """Return labels and the teacher's probabilities as tensors; -1, no label, becomes `IGNORED`."""
    import torch

    labels = torch.from_numpy(signal.y).to(device)
    teacher = None
    if signal.teacher_logp is not None:
        teacher = Softened(torch.from_numpy(signal.teacher_logp).float().to(device), signal.temperature)
    return Target(torch.where(labels < 0, IGNORED, labels), teacher)
