"""Small classifiers: they learn what they are told to learn, keep nothing unsafe, and say what they cannot do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from distbench.data.feature_signal import FeatureSignal, heldout_kl, soften
from distbench.data.sklearn_digits import SklearnDigits, SklearnDigitsOptions, rows
from distbench.errors import EnvironmentFault, RefusedError, RunError, UsageError
from distbench.models.decision_tree import DecisionTree, DecisionTreeOptions
from distbench.models.mlp import MLPClassifier
from distbench.protocols import TrainingRecipe
from tests.conftest import CPU


def quiet(*_: object) -> None:
    """Hear no progress."""


def blobs(labelled: int = 200, *, teacher: bool = True) -> FeatureSignal:
    """Three clouds in four dimensions; the teacher names the nearest centre, softly."""
    random = np.random.default_rng(0)
    centres = np.eye(3, 4) * 4
    y = random.integers(3, size=200)
    x = (centres[y] + random.normal(size=(200, 4))).astype(np.float32)
    scores = -((x[:, None] - centres[None]) ** 2).sum(-1) / 2
    p = np.exp(scores - np.logaddexp.reduce(scores, axis=1, keepdims=True))
    marked = y.astype(np.int64)
    marked[labelled:] = -1
    logp = soften(p, 1.0) if teacher else None
    return FeatureSignal(
        x[:150],
        marked[:150],
        3,
        None if logp is None else logp[:150],
        x[150:],
        None if logp is None else logp[150:],
        1.0,
        "d",
    )


def test_digits_split_is_fixed_and_disjoint() -> None:
    parts = {name: set(rows(name).index.tolist()) for name in ("train", "heldout", "test")}  # type: ignore[arg-type]
    assert [len(parts[n]) for n in ("train", "heldout", "test")] == [1078, 119, 600]
    assert len(parts["train"] | parts["heldout"] | parts["test"]) == 1797
    assert float(rows("train").x.max()) == 1.0


def test_few_labels_hides_the_rest_but_keeps_the_images() -> None:
    signal = SklearnDigits(SklearnDigitsOptions(labelled=107)).signal([], 1.0, 3, quiet)
    assert signal.examples == 1078
    assert int((signal.y >= 0).sum()) == 107
    assert signal.teacher_logp is None


@pytest.mark.parametrize("objective", ["soft", "hard"])
def test_mlp_learns_and_survives_saving(tmp_path: Path, objective: str) -> None:
    signal = blobs()
    model = MLPClassifier([8], CPU)
    report = model.learn(signal, TrainingRecipe(objective, epochs=60), quiet)
    truth = np.argmax(signal.heldout_logp, axis=1)  # type: ignore[arg-type]
    probabilities = model.classify(signal.heldout_x)
    assert (probabilities.argmax(axis=1) == truth).mean() > 0.9
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert report.heldout_after is not None
    assert report.heldout_before is not None
    assert report.heldout_after < report.heldout_before
    model.save(tmp_path / "mlp")
    again = MLPClassifier.open(MLPClassifier.resolve("mlp", tmp_path).path, CPU)
    np.testing.assert_array_equal(again.classify(signal.x), model.classify(signal.x))
    assert again.footprint().params_unique == 4 * 8 + 8 + 8 * 3 + 3


def test_hard_and_soft_get_the_same_number_of_steps_whatever_is_labelled() -> None:
    steps = set()
    for objective, labelled in (("soft", 20), ("hard", 20), ("hard", 200)):
        steps.add(MLPClassifier([4], CPU).learn(blobs(labelled), TrainingRecipe(objective, epochs=3), quiet).steps)
    assert len(steps) == 1


def test_hard_labels_never_see_the_teacher() -> None:
    signal, blind = blobs(40), blobs(40, teacher=False)
    models = [MLPClassifier([4], CPU), MLPClassifier([4], CPU)]
    for model, given in zip(models, (signal, blind), strict=True):
        model.learn(given, TrainingRecipe("hard", epochs=3), quiet)
    np.testing.assert_array_equal(models[0].classify(signal.x), models[1].classify(signal.x))


@pytest.mark.parametrize("objective", ["soft", "hard"])
def test_tree_learns_and_survives_saving(tmp_path: Path, objective: str) -> None:
    signal = blobs()
    tree = DecisionTree(DecisionTreeOptions(max_depth=6))
    tree.learn(signal, TrainingRecipe(objective), quiet)
    truth = np.argmax(signal.heldout_logp, axis=1)  # type: ignore[arg-type]
    assert (tree.classify(signal.heldout_x).argmax(axis=1) == truth).mean() > 0.8
    tree.save(tmp_path / "tree")
    again = DecisionTree.open(DecisionTree.resolve("tree", tmp_path).path, CPU)
    np.testing.assert_array_equal(again.classify(signal.x), tree.classify(signal.x))
    assert "nodes" in (again.footprint().note or "")
    assert again.footprint().params_unique is None


def test_a_hard_tree_is_a_gini_classification_tree() -> None:
    from sklearn.tree import DecisionTreeClassifier

    signal = blobs()
    tree = DecisionTree(DecisionTreeOptions(max_depth=3))
    tree.learn(signal, TrainingRecipe("hard", seed=5), quiet)
    reference = DecisionTreeClassifier(max_depth=3, random_state=5).fit(signal.x, signal.y)
    np.testing.assert_allclose(tree.classify(signal.heldout_x), reference.predict_proba(signal.heldout_x), atol=1e-12)


def test_a_tree_with_a_zero_probability_has_no_finite_kl() -> None:
    tree = DecisionTree(DecisionTreeOptions())
    report = tree.learn(blobs(), TrainingRecipe("hard"), quiet)
    assert report.heldout_after is None
    assert "infinite" in report.options["heldout_kl"]


def test_soften_is_the_softmax_at_a_temperature() -> None:
    logits = np.array([[1.0, 2.0, 4.0]])
    p = np.exp(logits) / np.exp(logits).sum()
    expected = logits / 2 - np.log(np.exp(logits / 2).sum())
    np.testing.assert_allclose(soften(p, 2.0), expected)


def test_heldout_kl_by_hand() -> None:
    teacher, student = np.log([[0.5, 0.5]]), np.array([[0.25, 0.75]])
    assert heldout_kl(teacher, student) == pytest.approx(0.5 * np.log(2) + 0.5 * np.log(2 / 3))
    assert heldout_kl(teacher, np.array([[1.0, 0.0]])) is None
    assert heldout_kl(None, student) is None


def test_what_cannot_be_done_is_said() -> None:
    with pytest.raises(UsageError, match="fitted in one pass; remove 'epochs'"):
        DecisionTree(DecisionTreeOptions()).learn(blobs(), TrainingRecipe("soft", epochs=2), quiet)
    with pytest.raises(RunError, match="need a teacher"):
        MLPClassifier([4], CPU).learn(blobs(teacher=False), TrainingRecipe("soft", epochs=1), quiet)
    with pytest.raises(UsageError, match="gets its sizes from data"):
        MLPClassifier([4], CPU).save(Path("nowhere"))
    with pytest.raises(EnvironmentFault, match="no model folder"):
        MLPClassifier.resolve("nowhere", Path("/"))


def test_a_foreign_type_in_a_tree_file_is_refused(tmp_path: Path) -> None:
    from skops.io import dump

    class Evil:
        payload = "x"

    Evil.__module__, Evil.__qualname__ = "evil.module", "Evil"
    (tmp_path / "tree").mkdir()
    dump(Evil(), tmp_path / "tree" / "model.skops")
    with pytest.raises(RefusedError, match=r"evil\.module"):
        DecisionTree.open(tmp_path / "tree", CPU)
