"""What a classifier learns from: inputs, labels where they exist, and the teacher's class probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["features", "texts", "images"]


@dataclass
class FeatureSignal:
    """Arrays in row order.

    Shapes: x [n, …]: feature vectors [n, features] float32, images [n, height, width, channels] float32 in 0–1, or
    texts [n] object (str): every model reads them with its own tokenizer. y [n] int64, -1 = unlabelled; teacher_logp
    [n, classes] float64 natural log at `temperature`, or None without a teacher; heldout_x, heldout_logp likewise, at
    temperature 1; heldout_y [h] int64, or None where the held-out rows have no labels.
    """

    x: NDArray[Any]
    y: NDArray[np.int64]
    classes: int
    teacher_logp: NDArray[np.float64] | None
    heldout_x: NDArray[Any]
    heldout_logp: NDArray[np.float64] | None
    temperature: float
    digest: str
    seconds: float = 0.0
    from_cache: bool = False
    kind: Kind = "features"
    heldout_y: NDArray[np.int64] | None = None
    names: tuple[str, ...] = ()  # of the classes

    @property
    def examples(self) -> int:
        """Training rows, labelled or not."""
        return int(self.x.shape[0])

    @property
    def labelled(self) -> NDArray[np.int64]:
        """Indices of the rows that have a label."""
        return np.flatnonzero(self.y >= 0)


def soften(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return log-probabilities at a temperature: log_softmax(log p / T), [n, classes]."""
    floor = float(np.finfo(np.float64).tiny)
    scaled = np.log(np.maximum(probabilities, floor)) / temperature
    return np.asarray(scaled - np.logaddexp.reduce(scaled, axis=1, keepdims=True), dtype=np.float64)


def heldout_kl(teacher_logp: NDArray[np.float64] | None, student: NDArray[np.float64]) -> float | None:
    """Return the mean KL(teacher ‖ student) in nats per row; None without a teacher or where it is infinite."""
    if teacher_logp is None or not len(teacher_logp):
        return None
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.exp(teacher_logp) * (teacher_logp - np.log(student))
    total = float(np.where(np.exp(teacher_logp) > 0, terms, 0.0).sum(axis=1).mean())
    return total if np.isfinite(total) else None
