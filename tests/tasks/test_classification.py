"""The classification task on texts and images: whole records, its work for the meters, and labels outside the head."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from distbench import plugins
from distbench.errors import RunError, UsageError
from distbench.plan.expand import expand
from distbench.protocols import Shape
from distbench.schema.strict import Use
from distbench.schema.suite import Suite, TaskSpec
from distbench.tasks.classification import ClassificationTask
from distbench.work.steady import warm_up
from tests.conftest import CPU


def quiet(*_: object) -> None:
    """Hear no progress."""


class Constant:
    """Answers every row with the same two or three probabilities."""

    def __init__(self, *p: float) -> None:
        self.p = p
        self.seen: list[Any] = []

    def classify(self, x: Any) -> Any:
        self.seen.append(x)
        return np.tile(self.p, (len(x), 1))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for name, n in (("train", 40), ("test", 12)):
        lines = [json.dumps({"text": f"{name} {i}", "label": int(i % 3 == 0)}) for i in range(n)]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(lines))
    return tmp_path


def task(folder: Path, **more: Any) -> ClassificationTask:
    given = {"use": "labelled", "files": {"train": "train.jsonl", "test": "test.jsonl"}}
    spec = TaskSpec(use="classification", name="made-up", data=given, **more)
    return ClassificationTask(ClassificationTask.resolve(spec, folder))


def test_every_text_becomes_a_record(data: Path) -> None:
    outcome = task(data).run(Constant(0.75, 0.25), CPU, quiet)
    assert len(outcome.samples) == len({each.sample_id for each in outcome.samples}) == 12
    first, second = outcome.samples[:2]
    assert (first.prompt, first.label, first.prediction, first.score) == ("test 0", "1", "0", 0.0)
    assert (second.label, second.score, second.confidence, second.label_probability) == ("0", 1.0, 0.75, 0.75)
    assert outcome.metrics[0].baseline == 0.5


def test_a_text_has_the_same_id_for_every_model(data: Path) -> None:
    ids = [[s.sample_id for s in task(data, samples=5).run(Constant(*p), CPU, quiet).samples] for p in ((1, 0), (0, 1))]
    assert ids[0] == ids[1]


def test_a_label_outside_the_head_is_named(data: Path) -> None:
    with (data / "train.jsonl").open("a") as file:
        file.write('\n{"text": "another", "label": 2}')
    with (data / "test.jsonl").open("a") as file:
        file.write('\n{"text": "odd one", "label": 2}')
    with pytest.raises(RunError, match=r"label '2' \(number 2\) of row 12 is outside the head, which has 2 labels"):
        task(data).run(Constant(0.5, 0.5), CPU, quiet)
    assert len(task(data).run(Constant(0.5, 0.3, 0.2), CPU, quiet).samples) == 13


def test_a_unit_of_work_is_a_batch_of_its_own_inputs(data: Path) -> None:
    model = Constant(0.5, 0.5)
    work = task(data).work(model, Shape(batch=30), seed=0)
    timing = work()
    assert timing.samples == 30
    assert len(timing.marks_ns) == 1
    assert set(model.seen[0]) == {f"test {i}" for i in range(12)}
    assert warm_up(work).runs >= 1


def test_the_identity_does_not_depend_on_the_place(data: Path, tmp_path: Path) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    for name in ("train.jsonl", "test.jsonl"):
        (place / name).write_bytes((data / name).read_bytes())
    one, other = (ClassificationTask.identity(task(folder).spec) for folder in (data, place))
    assert one == other
    assert str(data) not in json.dumps(one)


def test_data_without_test_rows_are_refused(data: Path) -> None:
    with pytest.raises(UsageError, match="has no test rows"):
        ClassificationTask.resolve(TaskSpec(use="classification", data={"use": "teacher-sampled"}), data)


# -- planned --------------------------------------------------------------------------------------------------------

SUITE = """
version: 1
name: texts
device: cpu
teachers:
  t:
    use: mlp
    hidden: [4]
    fit: {use: hard-labels, epochs: 2, data: &d {use: labelled, files: {train: train.jsonl, test: test.jsonl}}}
students:
  - {name: tree, of: t, init: {use: decision-tree, features: {use: tf-idf}}, distil: {use: soft-labels, data: *d}}
tasks: [{use: classification, name: made-up, data: *d}]
"""


def planned(folder: Path, **changes: Any) -> Any:
    tree = yaml.safe_load(SUITE)
    for path, value in changes.items():
        *steps, last = path.split("__")
        at = tree
        for each in steps:
            at = at[int(each)] if isinstance(at, list) else at[each]
        at[last] = value
    return expand(Suite.model_validate(tree), folder)


def test_a_text_suite_is_planned_from_its_folder(data: Path, tmp_path: Path) -> None:
    plan = planned(data)
    assert {cell.kind for cell in plan.cells} == {"make", "evaluate"}
    place = tmp_path / "elsewhere"
    place.mkdir()
    for name in ("train.jsonl", "test.jsonl"):
        (place / name).write_bytes((data / name).read_bytes())
    assert [cell.id for cell in planned(place).cells] == [cell.id for cell in plan.cells]
    (place / "train.jsonl").write_text('{"text": "a", "label": 0}\n{"text": "b", "label": 1}\n')
    assert [cell.id for cell in planned(place).cells] != [cell.id for cell in plan.cells]


def test_a_model_that_does_not_read_the_rows_is_refused_before_it_is_made(data: Path) -> None:
    digits = {"use": "sklearn-digits"}
    with pytest.raises(UsageError, match=r"gives features; 'hf-classifier' learns from images, texts"):
        planned(
            data, students__0__init={"use": "hf-classifier"}, students__0__distil={"use": "soft-labels", "data": digits}
        )
    with pytest.raises(UsageError, match=r"asks about features; model 'tree' \(hf-classifier\) reads images, texts"):
        planned(data, students__0__init={"use": "hf-classifier"}, tasks__0__data=digits)


def test_every_data_source_with_test_rows_says_what_they_are(data: Path) -> None:
    for use in (Use(use="sklearn-digits"), Use(use="sklearn-digits", **{"as": "images"})):
        source = plugins.load("data", use.use)(plugins.options("data", use))
        rows = source.test_rows()
        assert rows.kind == source.yields
        assert len(rows.x) == len(rows.y) == len(rows.index) == len(rows)
