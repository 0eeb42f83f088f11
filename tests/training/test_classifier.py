"""The loop that trains classifiers: budgets are kept, looks choose, and a killed training ends as one that was not."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distbench.errors import RunError, UsageError
from distbench.models.mlp import MLPClassifier, MLPOptions
from distbench.protocols import LearnSession, TrainingRecipe
from distbench.schema.training import Budget, Lora, Term
from distbench.training.classifier import rate_at, rows_of
from distbench.training.schedule import Schedule
from tests.conftest import CPU
from tests.models.classified import blobs, recipe

QUIET = LearnSession()


class Killed(Exception):
    """Stands for SIGKILL."""


def mlp() -> MLPClassifier:
    return MLPClassifier(MLPOptions(hidden=[8]), CPU)


def weights(model: MLPClassifier) -> str:
    total = hashlib.sha256()
    for name, tensor in sorted(model.module.state_dict().items()):
        total.update(name.encode() + tensor.numpy().tobytes())
    return total.hexdigest()


def test_every_objective_gets_the_same_number_of_steps_whatever_is_labelled() -> None:
    steps = {
        mlp().learn(blobs(n), recipe(o, epochs=3.0), QUIET).steps
        for o, n in (("soft", 20), ("hard", 20), ("hard", 200))
    }
    assert steps == {9}  # ceil(150 / 64) = 3 a pass


def test_rows_come_once_a_pass_and_depend_on_the_step_alone() -> None:
    rows = np.asarray([3, 5, 7, 11, 13])
    stream = np.concatenate([rows_of(step, 2, rows, seed=1) for step in range(1, 6)])
    assert sorted(stream[:5]) == sorted(stream[5:]) == rows.tolist()
    np.testing.assert_array_equal(rows_of(4, 2, rows, seed=1), stream[6:8])
    assert not np.array_equal(stream, np.concatenate([rows_of(step, 2, rows, seed=2) for step in range(1, 6)]))
    assert sorted(rows_of(3, 64, rows, seed=1)) == rows.tolist()  # a batch larger than the data is all of them, once


def test_the_rate_by_hand() -> None:
    plan = Schedule.of(Budget(steps=12, warmup=0.25, learning_rate=1.0, schedule="linear"), 100)
    assert plan.warmup_steps == 3
    rates = [rate_at(step, plan) for step in range(1, 13)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1.0])
    assert rates[3:] == pytest.approx([1.0 - i / 9 for i in range(9)])
    cosine = Schedule.of(Budget(steps=11, warmup=0.0, learning_rate=1.0, schedule="cosine"), 100)
    assert rate_at(7, cosine) == pytest.approx(0.5)  # half way between step 2 and the end


def test_accumulated_batches_make_the_step_of_a_whole_one() -> None:
    """Labelled rows are unevenly spread, so a mean of batch means would differ."""
    models = []
    for budget in ({"batch_size": 32}, {"batch_size": 8, "accumulate": 4}):
        model = mlp()
        model.learn(blobs(40), recipe("both", steps=5, **budget), QUIET)  # type: ignore[arg-type]
        models.append(model)
    whole, parts = (model.classify(blobs().x) for model in models)
    np.testing.assert_allclose(whole, parts, atol=2e-6)


def test_what_is_looked_at_is_what_is_kept() -> None:
    model = mlp()
    report = model.learn(blobs(), recipe("soft", steps=60, look_every=7, learning_rate=0.3), QUIET)
    assert [step for step, _ in report.heldout] == [*range(7, 60, 7), 60]
    best_step, best = min(report.heldout, key=lambda one: one[1])
    assert report.heldout_after == pytest.approx(best, rel=1e-9)
    assert report.kept_step == (best_step if best_step != 60 else None)
    assert report.options["looked_at"] == "KL to the teacher"


def test_a_control_is_judged_by_labels_not_by_its_distance_to_the_teacher() -> None:
    report = mlp().learn(blobs(), recipe("hard", steps=10, look_every=5), QUIET)
    assert report.options["looked_at"] == "cross-entropy on held-out labels"
    blind = blobs()
    blind.heldout_y = None
    with pytest.raises(UsageError, match="no labels to judge"):
        mlp().learn(blind, recipe("hard", steps=10, look_every=5), QUIET)


def test_patience_ends_a_training() -> None:
    report = mlp().learn(
        blobs(), recipe("soft", steps=500, look_every=1, patience=3, learning_rate=1.0, schedule="constant"), QUIET
    )
    assert report.stopped == "patience"
    assert report.steps is not None
    assert report.steps < 500
    values = [value for _, value in report.heldout]
    assert min(values) == values[-4]


def test_seconds_end_a_training() -> None:
    report = mlp().learn(blobs(), recipe("soft", steps=10**6, max_seconds=0.05), QUIET)
    assert report.stopped == "seconds"
    assert report.steps is not None
    assert report.steps < 10**6


@pytest.mark.parametrize("kill_at", [1, 13, 20, 27])
def test_a_killed_training_ends_with_the_same_weights(tmp_path: Path, kill_at: int) -> None:
    given = recipe("soft", steps=30, checkpoint_every=5, look_every=4, learning_rate=0.05)
    straight = mlp()
    expected = straight.learn(blobs(), given, LearnSession(scratch=tmp_path / "straight"))

    def kill(done: int, total: int, what: str) -> None:
        if done == kill_at:
            raise Killed

    with pytest.raises(Killed):
        mlp().learn(blobs(), given, LearnSession(scratch=tmp_path / "killed", progress=kill))
    again = mlp()
    report = again.learn(blobs(), given, LearnSession(scratch=tmp_path / "killed"))
    assert report.resumed_from == (kill_at - 1) // 5 * 5 or (report.resumed_from is None and kill_at <= 5)
    assert weights(again) == weights(straight)
    assert (report.heldout, report.kept_step, report.loss) == (expected.heldout, expected.kept_step, expected.loss)


def test_dropout_goes_on_where_it_was(tmp_path: Path) -> None:
    class Dropping(MLPClassifier):
        def _build(self, vectors: Any, classes: int) -> None:
            super()._build(vectors, classes)
            self.module.insert(1, torch.nn.Dropout(0.5))

    def dropping() -> Dropping:
        return Dropping(MLPOptions(hidden=[8]), CPU)

    given = recipe("soft", steps=12, checkpoint_every=4)
    straight = dropping()
    straight.learn(blobs(), given, QUIET)

    def kill(done: int, total: int, what: str) -> None:
        if done == 10:
            raise Killed

    with pytest.raises(Killed):
        dropping().learn(blobs(), given, LearnSession(scratch=tmp_path, progress=kill))
    again = dropping()
    assert again.learn(blobs(), given, LearnSession(scratch=tmp_path)).resumed_from == 8
    assert weights(again) == weights(straight)


def test_a_loss_that_is_no_number_stops_at_once() -> None:
    signal = blobs()
    signal.x[:] = np.inf
    with pytest.raises(RunError, match=r"diverged: loss nan at step 1, lr"):
        mlp().learn(signal, recipe("hard", steps=5), QUIET)


def test_what_a_classifier_cannot_learn_from_is_said() -> None:
    with pytest.raises(UsageError, match="lora adapts models of transformers"):
        mlp().learn(blobs(), recipe("hard", lora=Lora()), QUIET)
    with pytest.raises(UsageError, match="tells class probabilities, and what is inside it"):
        mlp().learn(blobs(), TrainingRecipe((Term(use="logit-mse"),)), QUIET)
    with pytest.raises(RunError, match="no labelled example"):
        mlp().learn(blobs(0), recipe("hard", steps=1), QUIET)


def test_temperature_changes_what_is_learned() -> None:
    answers = []
    for temperature in (1.0, 4.0):
        model = mlp()
        model.learn(blobs(temperature=temperature), recipe("soft", temperature=temperature, steps=20), QUIET)
        answers.append(model.classify(blobs().x))
    assert np.abs(answers[0] - answers[1]).max() > 1e-3
    with pytest.raises(UsageError, match="recorded at temperature 1"):
        mlp().learn(blobs(), recipe("soft", temperature=2.0, steps=1), QUIET)
