"""A decision tree that predicts class probabilities."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from distbench.models.tabular_skops import SkopsClassifier, TabularOptions
from distbench.models.tabular_targets import Targets
from distbench.schema.cell import Settings


class DecisionTreeOptions(TabularOptions):
    """Options of `use: decision-tree`."""

    max_depth: int | None = Field(None, ge=1, le=64)
    max_leaf_nodes: int | None = Field(None, ge=2, le=1_000_000)
    min_samples_leaf: int = Field(1, ge=1, le=1_000_000)


class DecisionTree(SkopsClassifier):
    """One regression tree over the vector of class probabilities; one-hot labels make it a Gini classification tree."""

    Options = DecisionTreeOptions
    noun: ClassVar[str] = "decision tree"
    trusted: ClassVar[frozenset[str]] = frozenset({"sklearn.tree._tree.Tree"})

    def fitted(self, x: NDArray[np.float32], targets: Targets, seed: int) -> Any:
        """Return the fitted tree: its splits lower the squared distance to the probabilities."""
        from sklearn.tree import DecisionTreeRegressor

        options = self.options.model_dump(exclude={"features"})
        tree = DecisionTreeRegressor(**options, random_state=seed)
        return tree.fit(x, targets.probabilities, sample_weight=targets.weights)

    def answers(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the mean target of the leaf that each row falls into, [n, classes]."""
        raw = np.maximum(self.estimator.predict(x), 0.0)
        return np.asarray(raw / raw.sum(axis=1, keepdims=True), dtype=np.float64)

    def words(self) -> str:
        """Return nodes and depth."""
        return f"{self.estimator.tree_.node_count} nodes, depth {self.estimator.get_depth()}"


class FreshDecisionTree:
    """`init: {use: decision-tree, max_depth: …}`: a tree that has yet to be fitted."""

    Options = DecisionTreeOptions
    needs: ClassVar[frozenset[str]] = frozenset()
    makes: ClassVar[str | None] = "decision-tree"

    def __init__(self, options: DecisionTreeOptions) -> None:
        self.options = options

    def make(self, parent: Any, settings: Settings) -> DecisionTree:
        """Return the unfitted tree; `parent` is not used."""
        return DecisionTree(self.options, settings)
