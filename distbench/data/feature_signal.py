"""What a classifier learns from: feature vectors, labels where they exist, and the teacher's class probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


@dataclass
class FeatureSignal:
    """Arrays in row order.

    Shapes: x [n, …]: feature vectors float32, images or token ids; y [n] int64,
    -1 = unlabelled; teacher_logp [n, classes] float64 natural log at
    `temperature`, or None without a teacher; heldout_x, heldout_logp likewise, at temperature 1.
    """

    kind: ClassVar[str] = "features"
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

    @property
    def examples(self) -> int:
        """Training rows, labelled or not."""
        return int(self.x.shape[0])


def mixture(models: Sequence[Any], x: NDArray[Any], weights: Sequence[float]) -> NDArray[np.float64]:
    """Return the weighted mean of classifiers' probabilities, [n, classes]; equal weights where none are given."""
    each = np.stack([model.classify(x) for model in models])
    return np.asarray(np.average(each, axis=0, weights=weights or None), dtype=np.float64)


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
