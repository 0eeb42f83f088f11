"""Small classifiers: they learn what they are told to learn, keep nothing unsafe, and say what they cannot do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distbench.data.feature_signal import heldout_kl, soften
from distbench.errors import EnvironmentFault, RefusedError, RunError, UsageError
from distbench.models.boosting import GradientBoosting, GradientBoostingOptions
from distbench.models.decision_tree import DecisionTree, DecisionTreeOptions
from distbench.models.mlp import MLPClassifier, MLPOptions
from distbench.models.tabular_features import TfIdf, Vectors
from distbench.models.tabular_targets import sharpened, targets_of
from distbench.protocols import LearnSession, TrainingRecipe
from distbench.schema.training import Term
from tests.conftest import CPU
from tests.models.classified import blobs, pictures, recipe, reviews

QUIET = LearnSession()


def mlp(*hidden: int, **options: Any) -> MLPClassifier:
    return MLPClassifier(MLPOptions(hidden=list(hidden), **options), CPU)


def tree(**options: Any) -> DecisionTree:
    return DecisionTree(DecisionTreeOptions(**options), CPU)


def boosted(**options: Any) -> GradientBoosting:
    return GradientBoosting(GradientBoostingOptions(**({"iterations": 20, "min_samples_leaf": 5} | options)), CPU)


# -- each kind learns, and comes back from disk ---------------------------------------------------------------------


@pytest.mark.parametrize("objective", ["soft", "hard", "both"])
@pytest.mark.parametrize("make", [lambda: mlp(8), lambda: tree(max_depth=6), boosted], ids=["mlp", "tree", "boosting"])
def test_it_learns_and_survives_saving(tmp_path: Path, make: Any, objective: str) -> None:
    signal, model = blobs(), make()
    budget = {"epochs": 60.0} if isinstance(model, MLPClassifier) else {}
    report = model.learn(signal, recipe(objective, **budget), QUIET)
    probabilities = model.classify(signal.heldout_x)
    assert (probabilities.argmax(axis=1) == signal.heldout_y).mean() > 0.8
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    assert report.heldout_after is None or report.heldout_after < 0.8
    model.save(tmp_path / "made")
    again = type(model).open(type(model).resolve("made", tmp_path).path, CPU)
    np.testing.assert_array_equal(again.classify(signal.x), model.classify(signal.x))
    size = sum(file.stat().st_size for file in (tmp_path / "made").iterdir())
    assert 0 < (again.footprint().bytes_on_disk or 0) <= size


@pytest.mark.parametrize("make", [lambda: mlp(8), tree, boosted], ids=["mlp", "tree", "boosting"])
def test_texts_become_tf_idf_and_images_are_flattened(tmp_path: Path, make: Any) -> None:
    for signal in (reviews(teacher=False), pictures()):
        model = make()
        if isinstance(model, GradientBoosting):
            model = boosted(min_samples_leaf=1)
        model.learn(signal, recipe("hard"), QUIET)
        assert (model.classify(signal.x).argmax(axis=1) == signal.y).mean() == 1.0
        model.save(tmp_path / signal.kind)
        again = type(model).open(tmp_path / signal.kind, CPU)
        np.testing.assert_array_equal(again.classify(signal.heldout_x), model.classify(signal.heldout_x))


def test_an_mlps_parameters_by_hand() -> None:
    model = mlp(8)
    model.learn(blobs(), recipe("hard", steps=1), QUIET)
    assert model.footprint().params_unique == 4 * 8 + 8 + 8 * 3 + 3


def test_hard_labels_never_see_the_teacher() -> None:
    signal, blind = blobs(40), blobs(40, teacher=False)
    for make in (lambda: mlp(4), tree, boosted):
        models = [make(), make()]
        for model, given in zip(models, (signal, blind), strict=True):
            budget = {"epochs": 3.0} if isinstance(model, MLPClassifier) else {}
            model.learn(given, recipe("hard", **budget), QUIET)
        np.testing.assert_array_equal(models[0].classify(signal.x), models[1].classify(signal.x))


# -- what is fitted in one pass -------------------------------------------------------------------------------------


def test_a_hard_tree_is_a_gini_classification_tree() -> None:
    from sklearn.tree import DecisionTreeClassifier

    signal, model = blobs(), tree(max_depth=3)
    model.learn(signal, recipe("hard", seed=5), QUIET)
    reference = DecisionTreeClassifier(max_depth=3, random_state=5).fit(signal.x, signal.y)
    np.testing.assert_allclose(model.classify(signal.heldout_x), reference.predict_proba(signal.heldout_x), atol=1e-12)


def test_hard_boosting_is_scikit_learns_own() -> None:
    from sklearn.ensemble import HistGradientBoostingClassifier

    signal, model = blobs(), boosted()
    model.learn(signal, recipe("hard", seed=3), QUIET)
    reference = HistGradientBoostingClassifier(max_iter=20, min_samples_leaf=5, early_stopping=False, random_state=3)
    reference.fit(signal.x, signal.y)
    np.testing.assert_allclose(model.classify(signal.heldout_x), reference.predict_proba(signal.heldout_x), atol=1e-12)


def test_soft_boosting_minimises_the_cross_entropy_with_the_teacher() -> None:
    """One leaf a tree can only learn the mean target, and the mean is where that loss is smallest."""
    signal = blobs()
    model = boosted(iterations=400, min_samples_leaf=100_000)
    model.learn(signal, recipe("soft"), QUIET)
    mean = np.exp(signal.teacher_logp).mean(axis=0)  # type: ignore[arg-type]
    np.testing.assert_allclose(model.classify(signal.x)[0], mean, atol=1e-3)


def test_soft_targets_tell_boosting_more_than_labels() -> None:
    signal = blobs(30)
    soft, hard = boosted().learn(signal, recipe("soft"), QUIET), boosted().learn(signal, recipe("hard"), QUIET)
    assert soft.heldout_after is not None
    assert hard.heldout_after is not None
    assert soft.heldout_after < hard.heldout_after


def test_a_class_without_examples_gets_nothing() -> None:
    signal = blobs()
    signal.y[signal.y == 2] = -1
    model = boosted()
    report = model.learn(signal, recipe("hard"), QUIET)
    assert model.classify(signal.x).shape == (150, 3)
    assert (model.classify(signal.x)[:, 2] == 0).all()
    assert report.heldout_after is None
    assert "infinite" in report.options["heldout_kl"]
    signal.y[signal.y == 1] = -1
    with pytest.raises(RunError, match="all examples are of one class"):
        boosted().learn(signal, recipe("hard"), QUIET)


def test_targets_of_labels_and_teacher_add_up_like_the_losses() -> None:
    """For any prediction q: Σ weight · CE(target, q) / n = ½ mean CE(teacher, q) + ½ mean over labelled −log q[y]."""
    signal = blobs(40)
    found = targets_of(signal, recipe("both"), "tree")
    logq = np.log(np.random.default_rng(1).dirichlet(np.ones(3), size=150))
    ours = -(found.weights[:, None] * found.probabilities * logq).sum() / 150
    teacher = -(np.exp(signal.teacher_logp) * logq).sum(axis=1).mean()  # type: ignore[arg-type]
    labelled = signal.labelled
    labels = -logq[labelled, signal.y[labelled]].mean()
    assert ours == pytest.approx(0.5 * teacher + 0.5 * labels)
    assert found.weights.mean() == pytest.approx(1.0)


def test_a_temperature_is_taken_back_when_it_answers() -> None:
    """A tree that memorises softened targets answers with the teacher's own probabilities."""
    plain, softened = blobs(), blobs(temperature=4.0)
    model = tree()
    model.learn(softened, recipe("soft", temperature=4.0), QUIET)
    np.testing.assert_allclose(model.classify(plain.x), np.exp(plain.teacher_logp), atol=1e-9)  # type: ignore[arg-type]
    p = np.asarray([[0.7, 0.3, 0.0]])
    np.testing.assert_allclose(sharpened(np.exp(soften(p, 3.0)), 3.0), p, atol=1e-12)


def test_a_tree_with_a_zero_probability_has_no_finite_kl() -> None:
    report = tree().learn(blobs(), recipe("hard"), QUIET)
    assert report.heldout_after is None
    assert "infinite" in report.options["heldout_kl"]


# -- texts as vectors -----------------------------------------------------------------------------------------------


def test_tf_idf_is_scikit_learns_after_a_round_trip(tmp_path: Path) -> None:
    from sklearn.feature_extraction.text import TfidfVectorizer

    signal = reviews()
    vectors = Vectors.fitted(signal, TfIdf(ngrams=2, max_features=12))
    vectors.write(tmp_path)
    again = Vectors.read(tmp_path)
    reference = TfidfVectorizer(ngram_range=(1, 2), max_features=12).fit(signal.x)
    np.testing.assert_allclose(again(signal.x), reference.transform(signal.x).toarray(), atol=1e-6)
    assert again(signal.x).shape == (10, 12)
    assert again.facts()["features"]["found"] == 12


def test_features_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="reads texts"):
        Vectors.fitted(blobs(), TfIdf())
    with pytest.raises(RunError, match="asked about something else"):
        Vectors.fitted(reviews(), None)(blobs().x)
    with pytest.raises(RunError, match="vectors of 4 numbers, not of 16"):
        Vectors.fitted(blobs(), None)(pictures().x)
    empty = reviews()
    empty.x[:] = "! ?"
    with pytest.raises(RunError, match="no word"):
        Vectors.fitted(empty, None)
    Vectors.fitted(reviews(), None).write(tmp_path)
    damaged = json.loads((tmp_path / "features.json").read_text()) | {"terms": ["one"]}
    (tmp_path / "features.json").write_text(json.dumps(damaged))
    with pytest.raises(RefusedError, match="damaged"):
        Vectors.read(tmp_path)


# -- numbers --------------------------------------------------------------------------------------------------------


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


# -- what cannot be done --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("make", "noun"), [(tree, "decision tree"), (boosted, "boosted ensemble")])
def test_what_is_fitted_in_one_pass_refuses_what_means_nothing_to_it(make: Any, noun: str) -> None:
    with pytest.raises(UsageError, match=f"{noun} is fitted in one pass; remove 'epochs'"):
        make().learn(blobs(), recipe("soft", epochs=2.0), QUIET)
    with pytest.raises(UsageError, match="labels and forward-kl, not 'reverse-kl'"):
        make().learn(blobs(), TrainingRecipe((Term(use="reverse-kl"),)), QUIET)
    warm = TrainingRecipe((Term(use="forward-kl", temperature=2.0), Term(use="labels")))
    with pytest.raises(UsageError, match="one temperature"):
        make().learn(blobs(temperature=2.0), warm, QUIET)
    with pytest.raises(RunError, match="need a teacher"):
        make().learn(blobs(teacher=False), recipe("soft"), QUIET)
    with pytest.raises(RunError, match="no labelled example"):
        make().learn(blobs(0), recipe("hard"), QUIET)
    with pytest.raises(UsageError, match="made by learning"):
        make().save(Path("nowhere"))


def test_what_an_mlp_cannot_do_is_said() -> None:
    with pytest.raises(RunError, match="need a teacher"):
        mlp(4).learn(blobs(teacher=False), recipe("soft", epochs=1.0), QUIET)
    with pytest.raises(UsageError, match="gets its sizes from data"):
        mlp(4).save(Path("nowhere"))
    with pytest.raises(EnvironmentFault, match="no model folder"):
        MLPClassifier.resolve("nowhere", Path("/"))


def test_a_foreign_type_in_a_tree_file_is_refused(tmp_path: Path) -> None:
    from skops.io import dump

    class Evil:
        payload = "x"

    Evil.__module__, Evil.__qualname__ = "evil.module", "Evil"
    (tmp_path / "tree").mkdir()
    dump(Evil(), tmp_path / "tree" / "model.skops")
    for kind in (DecisionTree, GradientBoosting):
        with pytest.raises(RefusedError, match=r"evil\.module"):
            kind.open(tmp_path / "tree", CPU)


def test_no_pickle_is_written(tmp_path: Path) -> None:
    import zipfile

    for name, model in (("tree", tree()), ("boosting", boosted())):
        model.learn(blobs(), recipe("hard"), QUIET)
        model.save(tmp_path / name)
        with zipfile.ZipFile(tmp_path / name / "model.skops") as archive:
            assert not [each for each in archive.namelist() if each.endswith((".pkl", ".pickle"))]
