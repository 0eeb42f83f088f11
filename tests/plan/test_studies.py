"""Seeds change what a training draws and nothing else; controls are planned by name."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from distbench.data.capture import capture_key
from distbench.errors import UsageError
from distbench.plan.expand import Plan, expand
from distbench.plan.studies import axes_of, studies_of
from distbench.protocols import SignalRequest
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.schema.suite import Suite

DISTIL: dict[str, Any] = {
    "use": "soft-labels",
    "data": {"use": "teacher-sampled", "sequences": 8},
    "epochs": 1,
}
KD: dict[str, Any] = {"name": "kd", "of": "big", "init": {"use": "layer-drop", "keep": 2}, "distil": DISTIL}
DIGITS: dict[str, Any] = {
    "name": "small",
    "of": "big",
    "init": {"use": "mlp", "hidden": [8]},
    "distil": {"use": "soft-labels", "data": {"use": "sklearn-digits", "labelled": 27}},
}


def suite(students: list[dict[str, Any]], **changes: Any) -> Suite:
    teacher = {"use": "hf-causal", "source": "./model"}
    return Suite.model_validate(
        {"version": 1, "name": "s", "device": "cpu", "teachers": {"big": teacher}, "students": students,
         "tasks": [{"use": "lm-eval", "name": "distbench_facts"}]} | changes
    )  # fmt: skip


def digits(*students: dict[str, Any], **changes: Any) -> Suite:
    teacher = {"use": "mlp", "hidden": [16], "fit": {"use": "hard-labels", "data": {"use": "sklearn-digits"}}}
    tasks = [{"use": "classification", "name": "digits", "data": {"use": "sklearn-digits"}}]
    return suite(list(students), teachers={"big": teacher}, tasks=tasks, **changes)


def with_distil(student: dict[str, Any], **more: Any) -> dict[str, Any]:
    return student | {"distil": student["distil"] | more}


@pytest.fixture
def place(tiny_lm: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_lm, tmp_path / "model")
    return tmp_path


def made(plan: Plan) -> dict[str, MakeCell]:
    return {cell.title: cell for cell in plan.cells if isinstance(cell, MakeCell)}


def ids(plan: Plan) -> dict[str, str]:
    return {cell.title: cell.id for cell in plan.cells}


def test_each_seed_is_a_training_and_a_control_of_its_own(tmp_path: Path) -> None:
    plan = expand(digits(with_distil(DIGITS, seeds=[4, 9])), tmp_path)
    assert [m.name for m in plan.models] == [
        "big", "small", "small-no-teacher", "small@seed9", "small@seed9-no-teacher",
    ]  # fmt: skip
    seeds = {title: cell.settings.seed for title, cell in made(plan).items()}
    assert seeds == {
        "make big": 0, "make small": 4, "make small-no-teacher": 4, "make small@seed9": 9,
        "make small@seed9-no-teacher": 9,
    }  # fmt: skip
    assert len(set(ids(plan).values())) == len(plan.cells)
    further = next(m for m in plan.models if m.name == "small@seed9")
    assert (further.seed, further.seed_of, further.control) == (9, "small", "small@seed9-no-teacher")
    assert not further.required


def test_the_teacher_and_the_draw_of_test_items_stay_at_the_suites_seed(tmp_path: Path) -> None:
    plan = expand(digits(with_distil(DIGITS, seeds=[4, 9])), tmp_path)
    assert {cell.settings.seed for cell in plan.cells if isinstance(cell, EvaluateCell)} == {0}
    plain = expand(digits(DIGITS), tmp_path)
    assert ids(plan)["make big"] == ids(plain)["make big"]
    assert ids(plan)["big on digits"] == ids(plain)["big on digits"]


def test_the_suites_own_seed_is_the_same_cell_as_without_seeds(tmp_path: Path) -> None:
    """So one more seed reuses what was trained before."""
    plain, seeded = expand(digits(DIGITS), tmp_path), expand(digits(with_distil(DIGITS, seeds=2)), tmp_path)
    for title in ("make small", "make small-no-teacher", "small on digits"):
        assert ids(plain)[title] == ids(seeded)[title]


def test_what_is_trained_beside_a_student_does_not_change_it(tmp_path: Path) -> None:
    plain, alone = expand(digits(DIGITS), tmp_path), expand(digits(with_distil(DIGITS, control="none")), tmp_path)
    assert ids(plain)["make small"] == ids(alone)["make small"]
    assert "make small-no-teacher" not in ids(alone)


def test_further_training_runs_are_evaluated_but_not_measured(tmp_path: Path) -> None:
    plan = expand(digits(with_distil(DIGITS, seeds=3), measure={"memory": {}}), tmp_path)
    (measure,) = [cell for cell in plan.cells if isinstance(cell, MeasureCell)]
    assert [ref.name for ref in measure.models] == ["big", "small"]
    assert sum(isinstance(cell, EvaluateCell) for cell in plan.cells) == 1 + 3 * 2


def test_the_untrained_control_is_the_student_as_it_starts(place: Path) -> None:
    plan = expand(suite([with_distil(KD, control=["no-teacher", "untrained"])]), place)
    assert [(m.name, m.kind, m.control_of) for m in plan.models if m.role == "control"] == [
        ("kd-no-teacher", "no-teacher", "kd"),
        ("kd-untrained", "untrained", "kd"),
    ]
    student = next(m for m in plan.models if m.name == "kd")
    assert student.control == "kd-no-teacher"
    start = made(plan)["make kd-untrained"]
    assert (start.train, start.init) == (None, made(plan)["make kd"].init)
    assert "kd-untrained on distbench_facts" in ids(plan)


def test_the_untrained_control_shares_the_cell_of_the_same_student_without_training(place: Path) -> None:
    plan = expand(
        suite([{"name": "drop", "of": "big", "init": KD["init"]}, with_distil(KD, control="untrained")]), place
    )
    names = {m.name: m.ref.identity for m in plan.models}
    assert names["drop"] == names["kd-untrained"]
    assert "kd-no-teacher" not in names


def test_there_is_one_untrained_control_for_all_seeds(place: Path) -> None:
    plan = expand(suite([with_distil(KD, control=["no-teacher", "untrained"], seeds=3)]), place)
    assert [m.name for m in plan.models if m.kind == "untrained"] == ["kd-untrained"]


@pytest.mark.parametrize(
    ("student", "message"),
    [
        (
            {"name": "same", "of": "big", "distil": DISTIL | {"control": "untrained"}},
            "it starts as its teacher",
        ),
        (KD | {"name": "kd-no-teacher"}, "two models are named 'kd-no-teacher'"),
    ],
)
def test_controls_that_cannot_be_are_refused(place: Path, student: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        expand(suite([KD, student]), place)


def test_a_model_whose_shape_comes_from_its_data_has_no_untrained_control(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="before the training there is no model"):
        expand(digits(with_distil(DIGITS, control="untrained")), tmp_path)


def test_a_deployed_row_has_no_training_runs_and_is_no_point_of_its_own(place: Path) -> None:
    point = {"study": {"name": "s", "at": {"samples": 8}}, "deploy": [{"use": "transformers", "attention": "eager"}]}
    plan = expand(suite([with_distil(KD, seeds=2) | point]), place)
    names = [m.name for m in plan.models if m.role == "student"]
    assert names[:2] == ["kd", "kd@seed1"]
    assert len(names) == 3
    assert [m.study is not None for m in plan.models if m.role == "student"] == [True, True, False]
    assert [(study.name, study.students) for study in studies_of(plan.models)] == [("s", 1)]


class Known:
    identity = "teacher"


def test_what_a_teacher_says_of_given_texts_is_recorded_once_for_all_seeds() -> None:
    one, two = (SignalRequest(teachers=[Known()], seed=seed) for seed in (0, 1))  # type: ignore[list-item]
    assert capture_key("corpus", one) == capture_key("corpus", two)


def test_axes_keep_the_order_of_the_suite_and_tell_values_apart() -> None:
    points = [{"a": 4, "b": None}, {"a": 1, "b": True}, {"a": 4, "b": 1}, {"c": [2]}]
    assert axes_of(points) == {"a": [4, 1], "b": [None, True, 1], "c": [[2]]}
