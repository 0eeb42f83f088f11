"""What rows are made of: checkpoints of a few kilobytes, two decision trees, and a place for each row."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.acceptance.row import Place


@pytest.fixture(scope="session")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two trees over the same made-up reviews: `stump` with one split, `deep` with as many as there are to make."""
    from distbench.models.decision_tree import DecisionTree, DecisionTreeOptions
    from distbench.protocols import LearnSession
    from tests.conftest import CPU
    from tests.models.classified import recipe, reviews

    folder = tmp_path_factory.mktemp("trees")
    for name, options in {"stump": DecisionTreeOptions(max_depth=1), "deep": DecisionTreeOptions()}.items():
        tree = DecisionTree(options, CPU)
        tree.learn(reviews(), recipe("hard"), LearnSession(lambda *_: None))
        tree.save(folder / name)
    return folder


@pytest.fixture
def place(tmp_path: Path, tiny_lm: Path, trees: Path) -> Place:
    return Place(tmp_path, tiny_lm, trees)
