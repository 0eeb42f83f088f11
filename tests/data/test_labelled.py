"""Labelled rows: read with care, split by content, few labels on request, teachers asked once."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distbench import plugins
from distbench.data.labelled_rows import few_labels
from distbench.data.labelled_texts import LabelledTexts
from distbench.data.located import located
from distbench.data.sklearn_digits import SklearnDigits, SklearnDigitsOptions, rows
from distbench.errors import EnvironmentFault, RunError, UsageError
from distbench.protocols import SignalRequest
from distbench.schema.strict import Use

NOBODY = SignalRequest(teachers=[])


def write(path: Path, lines: list[Any]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def numbered(n: int, *, start: int = 0) -> list[dict[str, Any]]:
    return [{"text": f"text number {i}", "label": i % 2} for i in range(start, start + n)]


def source(folder: Path, **options: Any) -> LabelledTexts:
    files = options.pop("files", {"train": "train.jsonl", "test": "test.jsonl"})
    use = located(Use(use="labelled", **{"files": files, **options}), folder)
    return LabelledTexts(plugins.options("data", use))  # type: ignore[arg-type]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write(tmp_path / "train.jsonl", numbered(200))
    write(tmp_path / "test.jsonl", numbered(30, start=1000))
    return tmp_path


@dataclass
class Oracle:
    """A teacher that names even rows, counts how often it is asked, and is no model file."""

    identity: str = "oracle"
    share: float = 0.75
    opened: int = 0
    asked: list[int] = field(default_factory=list)

    def open(self) -> Any:
        self.opened += 1
        return self

    def tokenizer(self) -> Any:
        raise NotImplementedError

    def classify(self, x: Any) -> Any:
        self.asked.append(len(x))
        first = np.where([int(text.split()[-1]) % 2 for text in x], 1 - self.share, self.share)
        return np.stack([first, 1 - first], axis=1)


# -- texts ----------------------------------------------------------------------------------------------------------


def test_train_heldout_and_test_are_three_things(data: Path) -> None:
    given = source(data)
    signal, test = given.signal(NOBODY), given.test_rows()
    assert signal.kind == given.yields == test.kind == "texts"
    assert signal.examples + len(signal.heldout_x) == 200
    assert not set(signal.x) & set(signal.heldout_x)
    assert not (set(signal.x) | set(signal.heldout_x)) & set(test.x)
    assert (signal.classes, signal.names, len(test)) == (2, ("0", "1"), 30)
    assert 5 <= len(signal.heldout_x) <= 45  # a tenth of 200, by a hash
    assert signal.teacher_logp is None
    assert signal.heldout_y is not None


def test_the_split_hangs_on_the_text_alone(data: Path) -> None:
    first = source(data).signal(NOBODY)
    write(data / "train.jsonl", [*reversed(numbered(200)), *numbered(200)])  # another order, everything twice
    again = source(data).signal(NOBODY)
    assert set(again.heldout_x) == set(first.heldout_x)
    assert set(again.x) == set(first.x)
    assert not set(again.x) & set(again.heldout_x)


def test_a_heldout_file_takes_its_texts_out_of_the_training_file(data: Path) -> None:
    write(data / "dev.jsonl", numbered(20, start=190))
    files = {"train": "train.jsonl", "heldout": "dev.jsonl"}
    signal = source(data, files=files).signal(NOBODY)
    assert (signal.examples, len(signal.heldout_x)) == (190, 20)
    with pytest.raises(UsageError, match="no 'test'"):
        source(data, files=files).test_rows()


def test_few_labels_are_drawn_with_the_seed_and_the_texts_stay(data: Path) -> None:
    draws = [source(data, labelled=20).signal(SignalRequest(teachers=[], seed=seed)) for seed in (0, 0, 1)]
    assert [int((each.y >= 0).sum()) for each in draws] == [20, 20, 20]
    assert len({each.examples for each in draws}) == 1
    np.testing.assert_array_equal(draws[0].y, draws[1].y)
    assert not np.array_equal(draws[0].y, draws[2].y)
    assert draws[0].digest == draws[1].digest != draws[2].digest
    with pytest.raises(RunError, match=r"labelled: 500, but only \d+ training rows have a label"):
        source(data, labelled=500).signal(NOBODY)


def test_unlabelled_texts_join_the_training_part_only(data: Path) -> None:
    heldout = set(source(data).signal(NOBODY).heldout_x)
    write(data / "more.jsonl", [{"text": "something new"}, {"text": min(heldout)}, {"text": "and more", "label": 9}])
    signal = source(data, files={"train": "train.jsonl", "unlabelled": "more.jsonl"}).signal(NOBODY)
    assert signal.x.tolist()[-2:] == ["something new", "and more"]
    assert signal.y.tolist()[-2:] == [-1, -1]
    assert set(signal.heldout_x) == heldout


def test_a_sample_is_a_seeded_draw_of_the_training_part(data: Path) -> None:
    whole, some = source(data).signal(NOBODY), source(data, samples=50).signal(NOBODY)
    assert some.examples == 50
    assert set(some.x) < set(whole.x)
    np.testing.assert_array_equal(some.heldout_x, whole.heldout_x)


def test_labels_may_be_names(data: Path) -> None:
    named = [{"text": f"t {i}", "label": ["pos", "neg"][i % 2]} for i in range(60)]
    write(data / "train.jsonl", named)
    write(data / "test.jsonl", [{"text": "x", "label": "pos"}])
    assert source(data).signal(NOBODY).names == ("neg", "pos")
    assert source(data).test_rows().y.tolist() == [1]
    assert source(data, classes=["pos", "neg"]).test_rows().y.tolist() == [0]


def test_rows_without_a_label_are_training_rows_without_a_label(data: Path) -> None:
    write(data / "train.jsonl", [*numbered(100), *({"text": f"blank {i}", "label": None} for i in range(50))])
    signal = source(data).signal(NOBODY)
    assert (signal.y[["blank" in text for text in signal.x]] == -1).all()
    assert signal.heldout_y is None or (signal.heldout_y >= 0).all()
    write(data / "test.jsonl", [{"text": "x", "label": None}])
    with pytest.raises(RunError, match=r"test\.jsonl:1: no label"):
        source(data).test_rows()


# -- what is wrong is said ------------------------------------------------------------------------------------------


def test_a_label_outside_the_head_is_named_with_the_number_of_labels(data: Path) -> None:
    write(data / "test.jsonl", [*numbered(3), {"text": "odd", "label": 7}])
    with pytest.raises(RunError, match=r"test\.jsonl:4: label 7 is outside the head, which has 2 labels"):
        source(data).test_rows()
    with pytest.raises(RunError, match=r"train\.jsonl:2: label 1 is outside the head"):
        source(data, classes=["0", "zero"]).signal(NOBODY)


def test_no_examples_are_an_error(data: Path) -> None:
    (data / "test.jsonl").write_text("\n\n")
    with pytest.raises(RunError, match="0 examples"):
        source(data).test_rows()
    (data / "train.jsonl").write_text("")
    with pytest.raises(RunError, match="0 examples"):
        source(data).signal(NOBODY)
    write(data / "train.jsonl", [{"text": "x", "label": 1}, {"text": "y", "label": 1}])
    with pytest.raises(RunError, match="1 different labels"):
        source(data).signal(NOBODY)


@pytest.mark.parametrize(
    ("line", "error", "said"),
    [
        ('{"text": "x", "label": true}', UsageError, "field 'label' is bool"),
        ('{"text": "x", "label": 1.5}', UsageError, "expected a whole number or text"),
        ('{"text": 3, "label": 1}', UsageError, "field 'text' is int; expected text"),
        ('{"txt": "x", "label": 1}', UsageError, "no field 'text'; did you mean 'txt'"),
        ('{"text": "x", "label": 1', UsageError, "not JSON"),
        ('["x", 1]', UsageError, "one JSON object, not list"),
        ('{"text": "x", "label": "good"}', RunError, "some labels are numbers and some are names"),
        ('{"text": "x", "label": -1}', RunError, "label -1"),
    ],
)
def test_a_bad_line_is_named(data: Path, line: str, error: type[Exception], said: str) -> None:
    with (data / "train.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(error, match=said) as caught:
        source(data).signal(NOBODY)
    if error is UsageError:
        assert "train.jsonl:201" in str(caught.value)


def test_files_that_are_not_there_are_named(data: Path) -> None:
    with pytest.raises(EnvironmentFault, match=r"none\.jsonl cannot be read"):
        source(data, files={"train": "none.jsonl"}).identity()


def test_the_identity_is_the_content_not_the_place(data: Path, tmp_path: Path) -> None:
    before = source(data).identity()
    (tmp_path / "elsewhere").mkdir()
    for name in ("train.jsonl", "test.jsonl"):
        (tmp_path / "elsewhere" / name).write_bytes((data / name).read_bytes())
    assert source(tmp_path / "elsewhere").identity() == before
    write(data / "test.jsonl", numbered(31, start=1000))
    assert source(data).identity() != before


# -- teachers -------------------------------------------------------------------------------------------------------


def test_a_teacher_is_asked_once_for_all_seeds_and_temperatures(data: Path) -> None:
    teacher = Oracle("asked once")
    given = source(data, labelled=20)
    signals = [
        given.signal(SignalRequest(teachers=[teacher], seed=seed, temperature=t)) for seed, t in ((0, 1.0), (1, 2.0))
    ]
    assert teacher.opened == 1
    assert sum(teacher.asked) == signals[0].examples + len(signals[0].heldout_x)
    assert [each.from_cache for each in signals] == [False, True]
    cold, warm = (np.exp(each.teacher_logp).max(axis=1) for each in signals)  # type: ignore[arg-type]
    np.testing.assert_allclose(cold, 0.75)
    np.testing.assert_allclose(warm, np.sqrt(0.75) / (np.sqrt(0.75) + np.sqrt(0.25)))
    np.testing.assert_allclose(np.exp(signals[1].heldout_logp).max(axis=1), 0.75)  # type: ignore[arg-type]
    assert given.signal(SignalRequest(teachers=[Oracle("another")])).from_cache is False


def test_several_teachers_are_averaged_by_their_weights(data: Path) -> None:
    ask = SignalRequest(teachers=[Oracle("a", 0.9), Oracle("b", 0.5)], weights=(0.75, 0.25))
    found = np.exp(source(data).signal(ask).teacher_logp).max(axis=1)  # type: ignore[arg-type]
    np.testing.assert_allclose(found, 0.75 * 0.9 + 0.25 * 0.5)


def test_a_teacher_of_other_classes_is_refused(data: Path) -> None:
    write(data / "train.jsonl", [{"text": f"text {i}", "label": i % 3} for i in range(60)])
    with pytest.raises(RunError, match="tells 2 classes apart, the data have 3"):
        source(data).signal(SignalRequest(teachers=[Oracle("two")]))


# -- digits ---------------------------------------------------------------------------------------------------------


def test_digits_split_is_fixed_and_disjoint() -> None:
    parts = {name: set(rows(name).index.tolist()) for name in ("train", "heldout", "test")}  # type: ignore[arg-type]
    assert [len(parts[n]) for n in ("train", "heldout", "test")] == [1078, 119, 600]
    assert len(parts["train"] | parts["heldout"] | parts["test"]) == 1797
    assert float(rows("train").x.max()) == 1.0


def test_digits_as_images_are_the_same_pixels() -> None:
    options = plugins.validated(SklearnDigitsOptions, {"as": "images"})
    images = SklearnDigits(options)  # type: ignore[arg-type]
    assert (images.yields, SklearnDigits(SklearnDigitsOptions()).yields) == ("images", "features")
    assert images.test_rows().x.shape == (600, 8, 8, 1)
    np.testing.assert_array_equal(images.test_rows().x.reshape(600, 64), rows("test").x)
    assert images.signal(NOBODY).kind == "images"


def test_few_labels_hides_the_rest_but_keeps_the_images() -> None:
    signal = SklearnDigits(SklearnDigitsOptions(labelled=107)).signal(SignalRequest(teachers=[], seed=3))
    assert signal.examples == 1078
    assert int((signal.y >= 0).sum()) == 107
    np.testing.assert_array_equal(signal.y[signal.labelled], rows("train").y[signal.labelled])


def test_hidden_labels_stay_hidden() -> None:
    y = np.asarray([0, -1, 1, 0, -1, 1])
    found = few_labels(y, 2, seed=0)
    assert int((found >= 0).sum()) == 2
    assert (found[y == -1] == -1).all()
    assert (found[found >= 0] == y[found >= 0]).all()
