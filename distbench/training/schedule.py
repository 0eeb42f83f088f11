"""A budget becomes numbers: what a suite left out is filled in here, and all of it goes into the record."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from distbench.schema.training import Budget

CHECKPOINT_SECONDS = 300.0  # between checkpoints where the suite gives no number of steps


@dataclass(frozen=True)
class Schedule:
    """A training in numbers. `accumulate` batches make one step; `warmup_steps` are part of `steps`."""

    steps: int
    epochs: float
    batch_size: int
    accumulate: int
    learning_rate: float
    schedule: str
    warmup_steps: int
    weight_decay: float
    max_grad_norm: float
    look_every: int | None
    patience: int | None
    checkpoint_every: int | None
    max_seconds: float | None

    @classmethod
    def of(cls, budget: Budget, examples: int) -> Schedule:
        """Return the numbers for so many training rows."""
        batch, accumulate = budget.batch_size or 8, budget.accumulate or 1
        each = batch * accumulate
        a_pass = math.ceil(examples / each)
        epochs = budget.epochs or 1.0
        steps = budget.steps or max(1, round(epochs * a_pass))
        return cls(
            steps=steps,
            epochs=steps / a_pass,
            batch_size=batch,
            accumulate=accumulate,
            learning_rate=budget.learning_rate or 2e-4,
            schedule=budget.schedule or "cosine",
            warmup_steps=max(1, round((0.1 if budget.warmup is None else budget.warmup) * steps)),
            weight_decay=budget.weight_decay or 0.0,
            max_grad_norm=1.0,
            look_every=budget.look_every,
            patience=budget.patience,
            checkpoint_every=budget.checkpoint_every,
            max_seconds=budget.max_seconds,
        )

    def facts(self) -> dict[str, Any]:
        """Return what was used, for the record; what is off is left out."""
        return {"optimiser": "AdamW"} | {name: value for name, value in asdict(self).items() if value is not None}
