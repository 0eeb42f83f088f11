"""Signals of a few rows for classifiers, and the recipes they are learned by."""

from __future__ import annotations

from typing import Any

import numpy as np

from distbench.data.feature_signal import FeatureSignal, Kind, soften
from distbench.protocols import TrainingRecipe
from distbench.schema.training import Budget, Term

SOFT = (Term(use="forward-kl"),)
HARD = (Term(use="labels"),)
GOOD = ["a kind and lovely story", "wonderful acting", "lovely film", "kind and warm", "a wonderful warm film"]
BAD = ["a dull and boring story", "terrible acting", "boring film", "dull and cold", "a terrible cold film"]


def recipe(objective: str, *, seed: int = 0, temperature: float = 1.0, **budget: Any) -> TrainingRecipe:
    """Return a recipe of soft labels, hard labels, or half of each."""
    soft = Term(use="forward-kl", temperature=temperature)
    terms = {
        "soft": (soft,),
        "hard": HARD,
        "both": (Term(use="forward-kl", weight=0.5), Term(use="labels", weight=0.5)),
    }
    return TrainingRecipe(terms[objective], Budget(**budget), seed)


def blobs(labelled: int = 200, *, teacher: bool = True, temperature: float = 1.0) -> FeatureSignal:
    """Three clouds in four dimensions; the teacher names the nearest centre, softly."""
    random = np.random.default_rng(0)
    centres = np.eye(3, 4) * 4
    y = random.integers(3, size=200)
    x = (centres[y] + random.normal(size=(200, 4))).astype(np.float32)
    scores = -((x[:, None] - centres[None]) ** 2).sum(-1) / 2
    p = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    marked = y.astype(np.int64)
    marked[labelled:] = -1
    return FeatureSignal(
        x=x[:150],
        y=marked[:150],
        classes=3,
        teacher_logp=soften(p[:150], temperature) if teacher else None,
        heldout_x=x[150:],
        heldout_logp=soften(p[150:], 1.0) if teacher else None,
        temperature=temperature,
        digest="d",
        heldout_y=y[150:].astype(np.int64),
    )


def reviews(*, teacher: bool = True) -> FeatureSignal:
    """Ten made-up sentences of two classes; the teacher is nine tenths sure."""
    x = np.empty(10, dtype=object)
    x[:] = GOOD + BAD
    y = np.asarray([1] * 5 + [0] * 5, dtype=np.int64)
    p = np.where(np.arange(2) == y[:, None], 0.9, 0.1)
    logp = np.log(p) if teacher else None
    kind: Kind = "texts"
    return FeatureSignal(x, y, 2, logp, x, logp, 1.0, "d", kind=kind, heldout_y=y, names=("bad", "good"))


def pictures(side: int = 4, channels: int = 1) -> FeatureSignal:
    """Bright left or bright right halves with a little noise."""
    random = np.random.default_rng(0)
    y = random.integers(2, size=48).astype(np.int64)
    x = random.uniform(0, 0.3, size=(48, side, side, channels)).astype(np.float32)
    for row, label in enumerate(y):
        half = slice(0, side // 2) if label else slice(side // 2, side)
        x[row, :, half] += 0.6
    kind: Kind = "images"
    return FeatureSignal(x[:32], y[:32], 2, None, x[32:], None, 1.0, "d", kind=kind, heldout_y=y[32:])
