"""Classifiers of transformers: made from scratch or on an encoder, opened under strict rules, ordinary when saved."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distbench.data.feature_signal import FeatureSignal
from distbench.errors import EnvironmentFault, RefusedError, RunError, UsageError
from distbench.methods.layer_drop import LayerDrop, LayerDropOptions
from distbench.models.hf_classifier import FreshHFClassifier, HFClassifier
from distbench.models.hf_classifier_fresh import HFClassifierOptions, word_pieces
from distbench.models.hf_classifier_inputs import ImageInputs
from distbench.protocols import LearnSession
from tests.conftest import CPU
from tests.models.classified import blobs, pictures, recipe, reviews
from tests.models.own_code import pickle_weights

QUIET = LearnSession()
SMALL_TEXT = {"dim": 16, "n_layers": 4, "n_heads": 2, "hidden_dim": 32, "max_position_embeddings": 32, "dropout": 0.0}
SMALL_IMAGE = {
    "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32, "patch_size": 2,
}  # fmt: skip


def texts(**options: Any) -> HFClassifier:
    given = {"config": SMALL_TEXT, "vocabulary": 100} | options
    return HFClassifier(HFClassifierOptions(**given), CPU)


def images(**options: Any) -> HFClassifier:
    return HFClassifier(HFClassifierOptions(**({"config": SMALL_IMAGE} | options)), CPU)


@pytest.fixture(scope="module")
def saved_text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("text") / "model"
    model = texts()
    model.learn(reviews(), recipe("hard", steps=60, learning_rate=0.005, batch_size=10), QUIET)
    model.save(folder)
    return folder


@pytest.fixture(scope="module")
def saved_image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("image") / "model"
    model = images()
    model.learn(pictures(), recipe("hard", steps=60, learning_rate=0.005), QUIET)
    model.save(folder)
    return folder


@pytest.fixture
def copy(saved_text: Path, tmp_path: Path) -> Callable[[], Path]:
    """Return a copy of the text classifier, to be spoiled."""
    import shutil

    def make() -> Path:
        return Path(shutil.copytree(saved_text, tmp_path / "copy"))

    return make


def change(folder: Path, **values: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


# -- learning and answering -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "signal"), [("text", reviews()), ("image", pictures())], ids=["texts", "images"])
def test_it_learns_and_answers_the_same_from_disk(
    kind: str, signal: FeatureSignal, saved_text: Path, saved_image: Path
) -> None:
    folder = saved_text if kind == "text" else saved_image
    found = HFClassifier.resolve(str(folder), Path())
    assert found.path is not None
    model = HFClassifier.open(found.path, CPU)
    probabilities = model.classify(signal.x)
    assert (probabilities.argmax(axis=1) == signal.y).mean() == 1.0
    np.testing.assert_allclose(probabilities.sum(axis=1), 1.0)
    np.testing.assert_array_equal(model.classify(signal.x), probabilities)


def test_what_is_saved_is_an_ordinary_checkpoint(saved_text: Path) -> None:
    """Plain transformers gives the same answers, and knows the classes by name."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    signal = reviews()
    module = AutoModelForSequenceClassification.from_pretrained(saved_text).eval()
    tokenizer = AutoTokenizer.from_pretrained(saved_text)
    assert module.config.id2label == {0: "bad", 1: "good"}
    ours = HFClassifier.open(saved_text, CPU).classify(signal.x)
    for text, expected in zip(signal.x, ours, strict=True):  # one by one: no padding at all
        with torch.inference_mode():
            logits = module(**tokenizer(text, return_tensors="pt")).logits
        np.testing.assert_allclose(torch.softmax(logits.double(), -1)[0].numpy(), expected, atol=1e-6)


def test_an_images_preparation_is_written_for_others(saved_image: Path) -> None:
    given = json.loads((saved_image / "preprocessor_config.json").read_text())
    assert given["size"] == {"height": 4, "width": 4}
    assert given["image_mean"] == given["image_std"] == [0.5]
    model = HFClassifier.open(saved_image, CPU)
    assert isinstance(model.inputs, ImageInputs)
    x = np.full((1, 4, 4, 1), 0.75, dtype=np.float32)
    np.testing.assert_allclose(model.inputs.tensors(x, "cpu")["pixel_values"].numpy(), 0.5)


def test_images_are_resized_and_grey_ones_get_their_channels() -> None:
    inputs = ImageInputs(3, (8, 8), [0.0] * 3, [1.0] * 3)
    x = np.linspace(0, 1, 2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4, 1)
    pixels = inputs.tensors(x, "cpu")["pixel_values"]
    assert tuple(pixels.shape) == (2, 3, 8, 8)
    np.testing.assert_allclose(pixels[:, 0].numpy(), pixels[:, 2].numpy())
    np.testing.assert_allclose(pixels.mean(dim=(1, 2, 3)).numpy(), x.mean(axis=(1, 2, 3)), atol=1e-3)
    with pytest.raises(RunError, match="3 channels, not of 2"):
        inputs.tensors(np.zeros((1, 4, 4, 2), dtype=np.float32), "cpu")


def test_half_precision_says_nearly_the_same(saved_text: Path, saved_image: Path) -> None:
    for folder, x in ((saved_text, reviews().x), (saved_image, pictures().x)):
        whole, half = (HFClassifier.open(folder, CPU.model_copy(update={"dtype": d})) for d in ("float32", "bfloat16"))
        assert half.weight_bytes() < 0.6 * whole.weight_bytes()
        found = half.classify(x)
        assert 0 < np.abs(found - whole.classify(x)).max() < 0.05


def test_a_batch_does_not_change_an_answer(saved_text: Path) -> None:
    """Lengths are mixed, so padding is masked or this fails; order comes back although rows are sorted inside."""
    model, x = HFClassifier.open(saved_text, CPU), reviews().x
    together = model.classify(x)
    alone = np.concatenate([model.classify(x[i : i + 1]) for i in range(len(x))])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_a_soft_student_comes_close_to_its_teacher() -> None:
    model = texts()
    report = model.learn(reviews(), recipe("soft", steps=80, learning_rate=0.005, batch_size=10), QUIET)
    assert report.heldout_before is not None
    assert report.heldout_after is not None
    assert report.heldout_after < 0.05 < report.heldout_before
    assert model.classify(reviews().x).max() == pytest.approx(0.9, abs=0.06)


def test_the_same_seed_gives_the_same_student() -> None:
    answers = []
    for seed in (0, 0, 1):
        model = texts(config=SMALL_TEXT | {"dropout": 0.2})
        model.learn(reviews(), recipe("hard", steps=3, seed=seed), QUIET)
        answers.append(model.classify(reviews().x))
    np.testing.assert_array_equal(answers[0], answers[1])
    assert not np.array_equal(answers[0], answers[2])


def test_long_texts_are_cut_and_counted() -> None:
    signal = reviews()
    signal.x[0] = "kind " * 100
    model = texts(max_length=8)
    report = model.learn(signal, recipe("hard", steps=1), QUIET)
    assert report.options["max_length"] == 8
    assert report.options["texts_cut"] == 1
    assert model.inputs is not None
    assert model.inputs.tensors(signal.x, "cpu")["input_ids"].shape == (10, 8)


def test_a_tokenizer_is_trained_on_the_texts_alone() -> None:
    first, again = (word_pieces(["a kind film", "a dull film"] * 3, 64) for _ in range(2))
    assert first.get_vocab() == again.get_vocab()
    ids = first("a kind film")["input_ids"]
    assert (ids[0], ids[-1]) == (first.cls_token_id, first.sep_token_id)
    assert first("Kind")["input_ids"] == first("kind")["input_ids"]


# -- where it starts ------------------------------------------------------------------------------------------------


def test_every_other_layer_is_a_start(saved_text: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    parent = HFClassifier.open(saved_text, CPU)
    kept = {name: tensor.clone() for name, tensor in parent.module.state_dict().items() if ".layer.2." in name}
    student = LayerDrop(LayerDropOptions(keep=[0, 2])).make(parent, CPU)
    student.save(tmp_path / "half")
    module, report = AutoModelForSequenceClassification.from_pretrained(tmp_path / "half", output_loading_info=True)
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    assert module.config.num_hidden_layers == 2
    for name, tensor in kept.items():
        np.testing.assert_array_equal(
            module.state_dict()[name.replace(".layer.2.", ".layer.1.")].numpy(), tensor.numpy()
        )
    before = student.classify(reviews().x)
    np.testing.assert_allclose(HFClassifier.open(tmp_path / "half", CPU).classify(reviews().x), before, atol=1e-7)
    report = student.learn(reviews(), recipe("soft", steps=40, learning_rate=0.003), QUIET)
    assert report.heldout_after < report.heldout_before


def test_a_network_of_stages_has_no_layers_to_drop() -> None:
    config = {"patch_size": 1, "num_stages": 2, "hidden_sizes": [4, 8], "depths": [1, 1]}
    model = images(architecture="convnext", config=config)
    model.learn(pictures(), recipe("hard", steps=1), QUIET)
    with pytest.raises(RefusedError, match="0 lists of 2 equal blocks"):
        model.layer_count()


def test_an_encoder_gets_a_new_head_and_keeps_everything_else(saved_text: Path, tmp_path: Path) -> None:
    from transformers import AutoModel

    encoder = tmp_path / "encoder"
    AutoModel.from_pretrained(saved_text).save_pretrained(encoder)
    HFClassifier.open(saved_text, CPU).inputs.save(encoder)  # type: ignore[union-attr]
    with pytest.raises(RefusedError, match="no classification head"):
        HFClassifier.resolve(str(encoder), Path())
    fresh = FreshHFClassifier(HFClassifierOptions(encoder=str(encoder)))
    assert fresh.identity() == FreshHFClassifier(HFClassifierOptions(encoder=str(encoder))).identity()
    model = fresh.make(None, CPU)
    report = model.learn(reviews(), recipe("hard", steps=1, learning_rate=1e-9), QUIET)
    assert report.options["learning_rate"] == 1e-9
    old, new = AutoModel.from_pretrained(saved_text).state_dict(), model.module.base_model.state_dict()
    for name, tensor in old.items():
        np.testing.assert_allclose(new[name].numpy(), tensor.numpy(), atol=1e-6)


def test_an_incomplete_encoder_is_refused(saved_text: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file
    from transformers import AutoModel

    encoder = tmp_path / "encoder"
    AutoModel.from_pretrained(saved_text).save_pretrained(encoder)
    HFClassifier.open(saved_text, CPU).inputs.save(encoder)  # type: ignore[union-attr]
    tensors = load_file(encoder / "model.safetensors")
    tensors.pop(next(name for name in tensors if "layer.1.attention.q_lin.weight" in name))
    save_file(tensors, encoder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(RefusedError, match=r"1 tensors of the encoder are missing.*q_lin"):
        texts(encoder=str(encoder), config={}).learn(reviews(), recipe("hard", steps=1), QUIET)


# -- what is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"architecture": "distilbirt"}, "did you mean 'distilbert'"),
        ({"config": {"n_layer": 2}}, "distilbert has no 'n_layer'; did you mean 'n_layers'"),
        ({"config": {"dim": 30, "n_heads": 4}}, "config of distilbert"),
    ],
)
def test_an_architecture_that_does_not_exist_is_said(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        texts(**options).learn(reviews(), recipe("hard", steps=1), QUIET)


def test_sizes_that_do_not_fit_the_data_are_said() -> None:
    with pytest.raises(UsageError, match="patch_size 3 does not divide an image of 4 × 4"):
        images(config=SMALL_IMAGE | {"patch_size": 3}).learn(pictures(), recipe("hard", steps=1), QUIET)
    with pytest.raises(ValueError, match="num_labels comes from the data"):
        HFClassifierOptions(config={"num_labels": 3})
    with pytest.raises(ValueError, match="leave out 'architecture'"):
        HFClassifierOptions(encoder="x", architecture="bert")
    with pytest.raises(UsageError, match="reads texts or images; these data are vectors"):
        texts().learn(blobs(), recipe("hard", steps=1), QUIET)


def test_a_head_of_another_size_is_not_trained(saved_text: Path) -> None:
    signal = reviews()
    signal.classes, signal.y[0] = 3, 2
    with pytest.raises(RunError, match="labels 0 to 2; the head has 2 labels"):
        HFClassifier.open(saved_text, CPU).learn(signal, recipe("hard", steps=1), QUIET)
    with pytest.raises(UsageError, match="reads texts; the data are images"):
        HFClassifier.open(saved_text, CPU).learn(pictures(), recipe("hard", steps=1), QUIET)
    with pytest.raises(RunError, match="reads texts, and is asked about numbers"):
        HFClassifier.open(saved_text, CPU).classify(blobs().x)


def test_code_beside_the_weights_is_refused(copy: Callable[[], Path]) -> None:
    folder = copy()
    change(folder, auto_map={"AutoModelForSequenceClassification": "evil.Model"})
    with pytest.raises(RefusedError, match="auto_map"):
        HFClassifier.resolve(str(folder), Path())
    with pytest.raises(RefusedError, match="auto_map"):
        HFClassifier.open(folder, CPU)


def test_code_and_pickles_that_are_allowed_answer_as_the_same_model_without(
    copy: Callable[[], Path], saved_text: Path, tmp_path: Path
) -> None:
    folder, asked = pickle_weights(copy()), reviews().x
    (folder / "modeling_own.py").write_text(
        "from transformers import DistilBertForSequenceClassification\n"
        f"open({str(tmp_path / 'RAN')!r}, 'w')\n"
        "class Own(DistilBertForSequenceClassification): ...\n"
    )
    change(folder, auto_map={"AutoModelForSequenceClassification": "modeling_own.Own"})
    for allowed in ({}, {"trust_remote_code": True}, {"allow_pickle": True}):
        with pytest.raises(RefusedError):
            HFClassifier.open(folder, CPU, HFClassifierOptions(**allowed))
    both = {"trust_remote_code": True, "allow_pickle": True}
    found = HFClassifier.resolve(str(folder), folder, HFClassifierOptions(**both))
    assert found.trusted is not None
    assert (list(found.trusted.code), found.trusted.pickles, found.converts) == (
        ["modeling_own.py"], ["pytorch_model.bin"], True
    )  # fmt: skip
    assert not (tmp_path / "RAN").exists()
    model = HFClassifier.open(folder, CPU, HFClassifierOptions(**both))
    assert (tmp_path / "RAN").exists()
    assert type(model.module).__name__ == "Own"
    expected = HFClassifier.open(saved_text, CPU).classify(asked)
    np.testing.assert_array_equal(model.classify(asked), expected)
    model.save(tmp_path / "saved")
    again = HFClassifier.open(tmp_path / "saved", CPU, HFClassifierOptions(trust_remote_code=True))
    np.testing.assert_array_equal(again.classify(asked), expected)
    init = FreshHFClassifier(HFClassifierOptions(encoder=str(folder), **both))
    assert init.trusted() == found.trusted
    assert init.identity() == {"encoder": found.identity}
    fresh = init.make(None, CPU)
    fresh.learn(reviews(), recipe("hard", steps=1), QUIET)
    fresh.save(tmp_path / "fresh")
    assert (tmp_path / "fresh" / "modeling_own.py").is_file()


def test_missing_and_broken_tensors_are_refused(copy: Callable[[], Path]) -> None:
    from safetensors.torch import load_file, save_file

    folder = copy()
    whole = load_file(folder / "model.safetensors")
    save_file(
        {n: t for n, t in whole.items() if n != "classifier.weight"}, folder / "model.safetensors", {"format": "pt"}
    )
    with pytest.raises(RefusedError, match=r"missing from the weights, first 'classifier\.weight'"):
        HFClassifier.open(folder, CPU)
    broken = dict(whole)
    broken["pre_classifier.bias"] = broken["pre_classifier.bias"] * float("nan")
    save_file(broken, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(RefusedError, match=r"'pre_classifier\.bias' holds NaN"):
        HFClassifier.open(folder, CPU)
    save_file(whole, folder / "model.safetensors", {"format": "pt"})
    change(folder, id2label={"0": "a", "1": "b", "2": "c"}, label2id={"a": 0, "b": 1, "c": 2})
    with pytest.raises(RefusedError, match=r"has shape .* by config.json it has"):
        HFClassifier.open(folder, CPU)


def test_a_pickled_checkpoint_is_refused(copy: Callable[[], Path]) -> None:
    folder = copy()
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises((RefusedError, EnvironmentFault)):
        HFClassifier.resolve(str(folder), Path())


def test_other_heads_are_refused(copy: Callable[[], Path]) -> None:
    folder = copy()
    change(folder, problem_type="multi_label_classification")
    with pytest.raises(RefusedError, match=r"does not choose among classes \(multi_label_classification\)"):
        HFClassifier.open(folder, CPU)
    change(folder, architectures=["DistilBertForTokenClassification"])
    with pytest.raises(RefusedError, match="DistilBertForTokenClassification"):
        HFClassifier.resolve(str(folder), Path())


def test_a_preparation_that_is_not_done_here_is_refused(saved_image: Path, tmp_path: Path) -> None:
    import shutil

    folder = Path(shutil.copytree(saved_image, tmp_path / "copy"))
    path = folder / "preprocessor_config.json"
    given = json.loads(path.read_text())
    path.write_text(json.dumps(given | {"do_center_crop": True}))
    with pytest.raises(RefusedError, match="do_center_crop"):
        HFClassifier.open(folder, CPU)
    path.write_text(json.dumps(given | {"size": {"shortest_edge": 256}}))
    with pytest.raises(RefusedError, match="shortest_edge"):
        HFClassifier.open(folder, CPU)
    path.unlink()
    with pytest.raises(EnvironmentFault, match=r"preprocessor_config\.json is missing"):
        HFClassifier.open(folder, CPU)


def test_how_a_new_one_is_made_means_nothing_to_a_finished_one(saved_text: Path) -> None:
    with pytest.raises(UsageError, match="'vocabulary' says how a new one is made"):
        HFClassifier.open(saved_text, CPU, HFClassifierOptions(vocabulary=99))
    with pytest.raises(UsageError, match="gets its head from data"):
        texts().save(Path("nowhere"))


def test_the_footprint_by_hand(saved_text: Path) -> None:
    model = HFClassifier.open(saved_text, CPU)
    found = model.footprint()
    total = sum(p.numel() for p in model.module.parameters())
    words = model.module.distilbert.embeddings
    embedded = words.word_embeddings.weight.numel() + words.position_embeddings.weight.numel()
    assert (found.params_unique, found.params_non_embedding) == (total, total - embedded)
    assert found.bytes_on_disk == (saved_text / "model.safetensors").stat().st_size
    assert model.weight_bytes() >= 4 * total
