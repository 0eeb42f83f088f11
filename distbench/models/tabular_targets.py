"""What a model that is fitted in one pass should say: the recipe's losses, summed into one target for every row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distbench.data.feature_signal import FeatureSignal
from distbench.errors import RunError, UsageError
from distbench.protocols import TrainingRecipe


@dataclass(frozen=True)
class Targets:
    """Which training rows count, the class probabilities that each should get [n, classes], and its weight [n].

    Probabilities are at `temperature`; weights have mean 1. With labels and teacher together, the mean losses of
    labelled and of all rows are added with the weights of their terms, as for any other classifier: to fit one mixed
    target per row with this weight has the same gradient, because both losses are linear in the target.
    """

    rows: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    weights: NDArray[np.float64]
    temperature: float


def targets_of(signal: FeatureSignal, recipe: TrainingRecipe, noun: str) -> Targets:
    """Return a recipe's targets.

    Raises UsageError for a budget or a loss that means nothing to a model fitted in one pass, RunError where the signal
    lacks what the losses need.
    """
    for name in recipe.budget.model_dump(exclude_none=True):
        raise UsageError(f"a {noun} is fitted in one pass; remove '{name}'")
    share, temperature = _label_share(recipe, noun), recipe.temperature
    one_hot, labelled = np.eye(signal.classes)[np.maximum(signal.y, 0)], signal.labelled
    if share > 0 and not len(labelled):
        raise RunError("no labelled example to learn from")
    if share == 1.0:
        return Targets(labelled, one_hot[labelled], np.ones(len(labelled)), 1.0)
    if signal.teacher_logp is None:
        raise RunError("soft labels need a teacher")
    if share > 0 and temperature != 1.0:
        raise UsageError(f"a {noun} has one temperature: labels beside soft labels need temperature 1")
    mass = (1 - share) / signal.examples * np.exp(signal.teacher_logp)
    if share > 0:
        mass[labelled] += share / len(labelled) * one_hot[labelled]
    total = mass.sum(axis=1)
    return Targets(np.arange(signal.examples), mass / total[:, None], total * signal.examples, temperature)


def _label_share(recipe: TrainingRecipe, noun: str) -> float:
    """Return the labels' share of the objective."""
    weights = {"labels": 0.0, "forward-kl": 0.0}
    for term in recipe.terms:
        if term.use not in weights:
            raise UsageError(f"a {noun} is fitted to probabilities: losses are labels and forward-kl, not {term.use!r}")
        weights[term.use] += term.weight
    return weights["labels"] / sum(weights.values())


def sharpened(probabilities: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Return at temperature 1 what was fitted at `temperature`: p^T / Σ p^T, the inverse of softening, [n, classes]."""
    if temperature == 1.0:
        return probabilities
    with np.errstate(divide="ignore"):
        scaled = np.log(probabilities) * temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    raised = np.exp(scaled)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float64)
