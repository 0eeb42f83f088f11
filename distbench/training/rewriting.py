"""On-policy batches: a share of them, drawn at random, is written by the student itself before its step."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from distbench.data.token_signal import TokenRows
from distbench.training.on_policy import write


@dataclass(frozen=True)
class Rewriter:
    """Replaces batches by the student's own continuations of their prompts.

    What is replaced, and by what, depends on seed, step and batch alone: a resumed training draws the same.
    """

    student: Any
    share: float
    seed: int
    rank: int = 0

    def __call__(self, batches: list[dict[str, Any]], step: int) -> list[dict[str, Any]]:
        """Return the batches of a step, some of them rewritten."""
        return [self._one(batch, step, index) for index, batch in enumerate(batches)]

    def _one(self, batch: dict[str, Any], step: int, index: int) -> dict[str, Any]:
        lot = random.Random(f"{self.seed}/{self.rank}/{step}/{index}")  # noqa: S311 - drawn, not secret
        if lot.random() >= self.share:
            return batch
        rows = TokenRows(batch["ids"], batch.get("documents"), batch.get("scored"))
        seed = lot.randrange(2**31)
        written = write(self.student, rows, rows.ids.shape[1] - 1, seed=seed, step=step)
        return {"ids": written.ids, "documents": written.documents, "scored": written.scored}
