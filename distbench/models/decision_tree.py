"""A decision tree that predicts class probabilities; stored with skops, never as a pickle."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from distbench.data.feature_signal import FeatureSignal, heldout_kl
from distbench.errors import RefusedError, RunError, UsageError
from distbench.models.saved import resolve_saved
from distbench.protocols import LearnReport, LearnSession, Resolved, TrainingRecipe
from distbench.schema.cell import Settings
from distbench.schema.record import Footprint
from distbench.schema.strict import Strict

FILE = "model.skops"
TRUSTED = ["sklearn.tree._tree.Tree"]  # scikit-learn's own array container; skops asks for it by name


class DecisionTreeOptions(Strict):
    """Options of `use: decision-tree`."""

    max_depth: int | None = Field(None, ge=1, le=64)
    max_leaf_nodes: int | None = Field(None, ge=2, le=1_000_000)
    min_samples_leaf: int = Field(1, ge=1, le=1_000_000)


class DecisionTree:
    """One regression tree over the vector of class probabilities; one-hot labels make it a Gini classification tree."""

    Options = DecisionTreeOptions
    offers: ClassVar[frozenset[str]] = frozenset({"classify", "learn", "save"})
    learns: ClassVar[frozenset[str]] = frozenset({"features"})

    def __init__(self, options: DecisionTreeOptions, tree: Any = None, folder: Path | None = None) -> None:
        self.options, self.tree, self.folder = options, tree, folder

    @classmethod
    def resolve(cls, source: str, directory: Path) -> Resolved:
        """Find a folder written by `save`."""
        return resolve_saved(source, directory, (FILE,))

    @classmethod
    def warm_up(cls) -> None:
        """Import scikit-learn and skops."""
        import skops.io  # noqa: F401

    @classmethod
    def open(cls, path: Path, settings: Settings, options: Any = None) -> Self:
        """Load a folder written by `save`; a file that names any other type is refused."""
        from skops.io import get_untrusted_types, load

        if foreign := sorted(set(get_untrusted_types(file=path / FILE)) - set(TRUSTED)):
            raise RefusedError(f"{path / FILE} names types that are not scikit-learn's: {foreign[0]}")
        return cls(DecisionTreeOptions(), load(path / FILE, trusted=TRUSTED), path)

    def save(self, folder: Path) -> None:
        """Write the tree with skops."""
        from skops.io import dump

        if self.tree is None:
            raise UsageError("a decision tree is made by learning: give the student a 'distil' step or a source")
        folder.mkdir(parents=True, exist_ok=True)
        dump(self.tree, folder / FILE)
        self.folder = folder

    def footprint(self) -> Footprint:
        """Bytes of the stored tree; it has nodes, not parameters."""
        size = (self.folder / FILE).stat().st_size if self.folder else None
        return Footprint(bytes_on_disk=size, note=f"{self.tree.tree_.node_count} nodes, depth {self.tree.get_depth()}")

    def classify(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return class probabilities [n, classes] for x [n, features]."""
        raw = np.maximum(self.tree.predict(x), 0.0)
        return np.asarray(raw / raw.sum(axis=1, keepdims=True), dtype=np.float64)

    def learn(self, signal: FeatureSignal, recipe: TrainingRecipe, session: LearnSession) -> LearnReport:
        """Fit once. Soft: every row against the teacher's probabilities. Hard: labelled rows against one-hot labels."""
        from sklearn.tree import DecisionTreeRegressor

        for name in recipe.budget.model_dump(exclude_none=True):
            raise UsageError(f"a decision tree is fitted in one pass; remove '{name}'")
        x, target = _targets(signal, recipe)
        self.tree = DecisionTreeRegressor(**self.options.model_dump(), random_state=recipe.seed).fit(x, target)
        session.progress(1, 1, "fitting the tree")
        after = heldout_kl(signal.heldout_logp, self.classify(signal.heldout_x))
        options: dict[str, Any] = {"rows": len(x), "temperature": recipe.temperature}
        if after is None and signal.heldout_logp is not None:
            options["heldout_kl"] = "infinite: the tree gives probability 0 to a class that the teacher does not"
        return LearnReport(None, len(x), 1.0, None, after, len(signal.heldout_x), [], options)


def _targets(signal: FeatureSignal, recipe: TrainingRecipe) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Return inputs, and the class probabilities that each should get."""
    label_weight = label_share(recipe)
    labelled = np.flatnonzero(signal.y >= 0)
    one_hot = np.eye(signal.classes)[np.maximum(signal.y, 0)]
    if label_weight == 1.0:
        if not len(labelled):
            raise RunError("no labelled example to learn from")
        return signal.x[labelled], one_hot[labelled]
    if signal.teacher_logp is None:
        raise RunError("soft labels need a teacher")
    target = np.exp(signal.teacher_logp)
    target[labelled] = (1 - label_weight) * target[labelled] + label_weight * one_hot[labelled]
    return signal.x, target


def label_share(recipe: TrainingRecipe) -> float:
    """Return the labels' share of the objective.

    Raises UsageError for a loss that a tree cannot minimise: it is fitted to probabilities, by squared error.
    """
    weights = {"labels": 0.0, "forward-kl": 0.0}
    for term in recipe.terms:
        if term.use not in weights:
            raise UsageError(f"a tree is fitted to probabilities: losses are labels and forward-kl, not {term.use!r}")
        weights[term.use] += term.weight
    return weights["labels"] / sum(weights.values())


class FreshDecisionTree:
    """`init: {use: decision-tree, max_depth: …}`: a tree that has yet to be fitted."""

    Options = DecisionTreeOptions
    needs: ClassVar[frozenset[str]] = frozenset()
    makes: ClassVar[str | None] = "decision-tree"

    def __init__(self, options: DecisionTreeOptions) -> None:
        self.options = options

    def make(self, parent: Any, settings: Settings) -> DecisionTree:
        """Return the unfitted tree; `parent` is not used."""
        return DecisionTree(self.options)
