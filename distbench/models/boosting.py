"""Gradient-boosted trees (Friedman 2001), as scikit-learn's histogram implementation has them."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from distbench.errors import RunError
from distbench.models.tabular_skops import SkopsClassifier, TabularOptions
from distbench.models.tabular_targets import Targets
from distbench.schema.cell import Settings

NEGLIGIBLE = 1e-4  # a class that the target gives less than this gets no copy of the row


class GradientBoostingOptions(TabularOptions):
    """Options of `use: gradient-boosting`."""

    iterations: int = Field(100, ge=1, le=100_000, description="trees, times the classes where there are more than two")
    shrinkage: float = Field(0.1, gt=0, le=1, description="of every tree's contribution")
    max_leaf_nodes: int = Field(31, ge=2, le=65_536)
    max_depth: int | None = Field(None, ge=1, le=64)
    min_samples_leaf: int = Field(20, ge=1, le=1_000_000)
    l2: float = Field(0.0, ge=0, le=1e6, description="penalty on the values of leaves")


class GradientBoosting(SkopsClassifier):
    """Boosted trees on the cross-entropy.

    A soft target enters as copies of its row, one for each class, with the class's probability as weight: the sum of
    their losses is Σ p log q, so the trees minimise the very loss that the recipe names. (A regression of each class's
    probability would minimise a squared distance; one of its logarithm would be ruled by classes that the teacher finds
    impossible.) A leaf needs `min_samples_leaf` copies.
    """

    Options = GradientBoostingOptions
    noun: ClassVar[str] = "boosted ensemble"
    trusted: ClassVar[frozenset[str]] = frozenset({"sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"})

    def fitted(self, x: NDArray[np.float32], targets: Targets, seed: int) -> Any:
        """Return the fitted ensemble."""
        from sklearn.ensemble import HistGradientBoostingClassifier

        o = self.options
        row, label = np.nonzero(targets.probabilities >= NEGLIGIBLE)
        if len(set(label.tolist())) < 2:
            raise RunError("all examples are of one class: nothing to learn")
        weight = targets.probabilities[row, label] * targets.weights[row]
        ensemble = HistGradientBoostingClassifier(
            max_iter=o.iterations,
            learning_rate=o.shrinkage,
            max_leaf_nodes=o.max_leaf_nodes,
            max_depth=o.max_depth,
            min_samples_leaf=o.min_samples_leaf,
            l2_regularization=o.l2,
            early_stopping=False,  # its split would put copies of one row on both sides
            random_state=seed,
        )
        return ensemble.fit(x[row], label, sample_weight=weight)

    def answers(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return class probabilities; a class that no example had gets 0."""
        found = np.zeros((len(x), self.classes))
        found[:, self.estimator.classes_] = self.estimator.predict_proba(x)
        return found

    def words(self) -> str:
        """Return iterations and nodes."""
        trees = [tree for step in self.estimator._predictors for tree in step]  # noqa: SLF001 - nothing public counts
        return f"{len(trees)} trees, {sum(len(tree.nodes) for tree in trees)} nodes"


class FreshGradientBoosting:
    """`init: {use: gradient-boosting, iterations: …}`: an ensemble that has yet to be fitted."""

    Options = GradientBoostingOptions
    needs: ClassVar[frozenset[str]] = frozenset()
    makes: ClassVar[str | None] = "gradient-boosting"

    def __init__(self, options: GradientBoostingOptions) -> None:
        self.options = options

    def make(self, parent: Any, settings: Settings) -> GradientBoosting:
        """Return the unfitted ensemble; `parent` is not used."""
        return GradientBoosting(self.options, settings)
