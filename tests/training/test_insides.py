"""What is inside a classifier, compared with its teacher; adapters around its layers; its course on a board."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from distbench.data.feature_signal import FeatureSignal, soften
from distbench.errors import UsageError
from distbench.models.hf_classifier import HFClassifier
from distbench.models.hf_classifier_fresh import HFClassifierOptions
from distbench.models.mlp import MLPClassifier, MLPOptions
from distbench.protocols import LearnSession, TrainingRecipe
from distbench.schema.training import Budget, Lora, Term
from distbench.training.classifier import rows_of
from tests.conftest import CPU
from tests.models.classified import pictures, recipe, reviews

TEXT = {
    "dim": 16, "n_layers": 4, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 32, "dropout": 0.0,
    "attention_dropout": 0.0, "seq_classif_dropout": 0.0,
}  # fmt: skip
IMAGE = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "patch_size": 2}


class Handle:
    """A teacher that is there already."""

    identity, offers = "there", HFClassifier.offers

    def __init__(self, model: Any) -> None:
        self.model = model

    def open(self) -> Any:
        return self.model


def made(signal: FeatureSignal, folder: Path, **options: Any) -> Path:
    model = HFClassifier(HFClassifierOptions(**({"vocabulary": 100} | options)), CPU)
    model.learn(signal, recipe("hard", steps=20, learning_rate=0.005, batch_size=16), LearnSession())
    model.save(folder)
    return folder


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(reviews(), tmp_path_factory.mktemp("text") / "model", config=TEXT)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(pictures(), tmp_path_factory.mktemp("image") / "model", config=IMAGE)


def opened(folder: Path) -> HFClassifier:
    return HFClassifier.open(folder, CPU)


def taught(signal: FeatureSignal, teacher: HFClassifier) -> FeatureSignal:
    logp, held = (soften(teacher.classify(x), 1.0) for x in (signal.x, signal.heldout_x))
    return dataclasses.replace(signal, teacher_logp=logp, heldout_logp=held)


def terms(*given: dict[str, Any], **budget: Any) -> TrainingRecipe:
    return TrainingRecipe(tuple(Term(**each) for each in given), Budget(**budget), seed=3)


def with_teacher(model: Any, **options: Any) -> LearnSession:
    return LearnSession(teachers=[Handle(model)], **options)  # type: ignore[list-item]


def test_the_first_objective_is_what_the_definitions_say(text: Path) -> None:
    """Half of the layers; soft labels, and the angle of hidden states over all tokens that are no padding."""
    teacher, student, same = opened(text), opened(text), opened(text)
    for model in (student, same):
        model.keep_layers([0, 2])
    signal = taught(reviews(), teacher)
    weighed = terms({"use": "forward-kl", "weight": 5}, {"use": "hidden", "weight": 2}, steps=1, batch_size=4)
    report = student.learn(signal, dataclasses.replace(weighed, seed=0), with_teacher(opened(text)))
    assert report.options["teacher"] == "recorded and online"

    given = same.inputs.tensors(signal.x, "cpu")  # type: ignore[union-attr]
    mask = given["attention_mask"].bool()
    with torch.no_grad():
        ours = same.module(**given, output_hidden_states=True)
        theirs = teacher.module(**given, output_hidden_states=True)
    batch = rows_of(1, 4, np.arange(10), 0).tolist()
    kl = torch.nn.functional.kl_div(ours.logits.log_softmax(-1), theirs.logits.softmax(-1), reduction="none").sum(-1)
    pairs = [(ours.hidden_states[s][batch], theirs.hidden_states[t][batch]) for s, t in ((1, 2), (2, 4))]
    angle = sum((1 - torch.cosine_similarity(*pair, dim=-1))[mask[batch]].mean() for pair in pairs) / 2
    assert report.loss[0][1] == pytest.approx(float(5 * kl[batch].mean() + 2 * angle), rel=1e-4)


def narrow() -> HFClassifier:
    return HFClassifier(HFClassifierOptions(config=IMAGE | {"hidden_size": 8}), CPU)


@pytest.mark.parametrize("loss", ["hidden", "attention", "relation"])
def test_a_student_of_another_width_comes_nearer(image: Path, loss: str) -> None:
    teacher = opened(image)
    plan = terms({"use": loss}, steps=12, learning_rate=0.02, batch_size=32, warmup=0.0)
    report = narrow().learn(taught(pictures(), teacher), plan, with_teacher(teacher))
    assert report.loss[-1][1] < 0.9 * report.loss[0][1]


def test_a_killed_training_ends_with_the_same_weights_and_no_projector(image: Path, tmp_path: Path) -> None:
    signal = taught(pictures(), opened(image))
    plan = terms({"use": "hidden"}, steps=6, learning_rate=0.01, batch_size=16, checkpoint_every=2)

    def kill(done: int, total: int, what: str) -> None:
        if done == 5:
            raise RuntimeError("killed")

    whole, again = narrow(), narrow()
    whole.learn(signal, plan, with_teacher(opened(image)))
    with pytest.raises(RuntimeError, match="killed"):
        narrow().learn(signal, plan, with_teacher(opened(image), progress=kill, scratch=tmp_path))
    report = again.learn(signal, plan, with_teacher(opened(image), scratch=tmp_path))
    assert report.resumed_from == 4
    for (name, one), other in zip(whole.module.state_dict().items(), again.module.state_dict().values(), strict=True):
        assert torch.equal(one, other), name
    assert not any("projector" in name for name in whole.module.state_dict())


def test_what_cannot_be_compared_is_refused(text: Path, image: Path, tmp_path: Path) -> None:
    inside, seen, read = terms({"use": "hidden"}, steps=1), taught(pictures(), opened(image)), reviews()
    with pytest.raises(UsageError, match="hidden of student and teacher; this student shows nothing of the kind"):
        MLPClassifier(MLPOptions(hidden=[4]), CPU).learn(seen, inside, with_teacher(opened(image)))
    with pytest.raises(UsageError, match="it needs a teacher while training"):
        opened(image).learn(seen, inside, LearnSession())
    other = opened(made(reviews(), tmp_path / "words", config=TEXT, max_length=4))
    with pytest.raises(UsageError, match="positions and the teacher as 4"):
        opened(text).learn(read, inside, with_teacher(other))
    coarse = opened(made(pictures(), tmp_path / "coarse", config=IMAGE | {"patch_size": 4}))
    with pytest.raises(UsageError, match="sees a row as 5 positions and the teacher as 2"):
        opened(image).learn(seen, inside, with_teacher(coarse))
    convolution = {"patch_size": 1, "num_stages": 1, "hidden_sizes": [4], "depths": [1]}
    uneven = opened(made(pictures(), tmp_path / "uneven", architecture="convnext", config=convolution))
    with pytest.raises(UsageError, match="convnext: its layers are not alike"):
        uneven.learn(seen, inside, with_teacher(opened(image)))
    with pytest.raises(UsageError, match="'logit-mse' compares the logits"):
        opened(image).learn(seen, terms({"use": "logit-mse"}, steps=1), with_teacher(opened(image)))


def test_adapters_train_the_encoder_a_little_and_the_head_whole(text: Path, tmp_path: Path) -> None:
    pytest.importorskip("peft", reason="the extra 'lora' is not installed")

    def learn(lora: Lora | None, **session: Any) -> HFClassifier:
        model = opened(text)
        budget = {"steps": 6, "learning_rate": 0.05, "batch_size": 5, "checkpoint_every": 2, "lora": lora}
        model.report = model.learn(reviews(), recipe("hard", **budget), LearnSession(**session))  # type: ignore[attr-defined]
        return model

    before, model = opened(text).module.state_dict(), learn(Lora(rank=2, targets=["q_lin", "v_lin"]))
    after = model.module.state_dict()
    assert before.keys() == after.keys()
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name.split(".")[-2] for name in changed} == {"q_lin", "v_lin", "pre_classifier", "classifier"}
    update = after["distilbert.transformer.layer.0.attention.q_lin.weight"]
    update = update - before["distilbert.transformer.layer.0.attention.q_lin.weight"]
    assert torch.linalg.matrix_rank(update, rtol=1e-4) == 2
    facts = model.report.options["lora"]  # type: ignore[attr-defined]
    heads = 16 * 16 + 16 + 16 * 2 + 2
    assert (facts["layers"], facts["trained_parameters"]) == (8, 8 * 2 * (16 + 16) + heads)
    model.save(tmp_path / "plain")
    assert (opened(tmp_path / "plain").classify(reviews().x) == model.classify(reviews().x)).all()

    def kill(done: int, total: int, what: str) -> None:
        if done == 5:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        learn(Lora(dropout=0.1), progress=kill, scratch=tmp_path / "s")
    whole, again = learn(Lora(dropout=0.1)), learn(Lora(dropout=0.1), scratch=tmp_path / "s")
    for name, weight in whole.module.state_dict().items():
        assert torch.equal(weight, again.module.state_dict()[name]), name


def test_adapters_are_refused_where_nothing_is_there(text: Path) -> None:
    pytest.importorskip("peft", reason="the extra 'lora' is not installed")
    wanted = recipe("hard", steps=1, lora=Lora())
    with pytest.raises(UsageError, match="starts from random ones"):
        HFClassifier(HFClassifierOptions(config=TEXT), CPU).learn(reviews(), wanted, LearnSession())
    with pytest.raises(UsageError, match="lora adapts models of transformers"):
        MLPClassifier(MLPOptions(hidden=[4]), CPU).learn(reviews(), wanted, LearnSession())
    with pytest.raises(UsageError, match="no linear layer 'classifier'"):
        opened(text).learn(reviews(), recipe("hard", steps=1, lora=Lora(targets=["classifier"])), LearnSession())


def test_a_board_has_every_step_and_look(tmp_path: Path) -> None:
    events = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    model = MLPClassifier(MLPOptions(hidden=[4]), CPU)
    report = model.learn(pictures(), recipe("hard", steps=5, look_every=2, warmup=0.4), LearnSession(board=tmp_path))
    board = events.EventAccumulator(str(tmp_path)).Reload()

    def written(name: str) -> list[tuple[int, float]]:
        return [(each.step, each.value) for each in board.Scalars(name)]

    assert written("train/objective") == [(step, pytest.approx(value, rel=1e-6)) for step, value in report.loss]
    assert written("heldout") == [(step, pytest.approx(value, rel=1e-6)) for step, value in report.heldout]
    assert [step for step, _ in report.heldout] == [2, 4, 5]
    rates = [value for _, value in written("train/learning_rate")]
    assert rates[1] == max(rates) == pytest.approx(3e-3)
