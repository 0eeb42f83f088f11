"""Cell ids follow content; impossible combinations are refused before anything is loaded."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from distbench.errors import UsageError
from distbench.plan.expand import GROUP, Plan, expand
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.schema.suite import Suite

DROP: dict[str, Any] = {"name": "drop", "of": "big", "init": {"use": "layer-drop", "keep": 2}}
KD: dict[str, Any] = DROP | {
    "name": "kd",
    "distil": {
        "use": "soft-labels",
        "temperature": 2.0,
        "data": {"use": "teacher-sampled", "sequences": 8},
        "epochs": 1,
    },
}


def suite(students: list[dict[str, Any]], **changes: Any) -> Suite:
    return Suite.model_validate(
        {
            "version": 1,
            "name": "s",
            "device": "cpu",
            "teachers": {"big": {"use": "hf-causal", "source": "./model"}},
            "students": students,
            "tasks": [{"use": "lm-eval", "name": "distbench_facts"}],
        }
        | changes
    )


@pytest.fixture
def place(tiny_lm: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_lm, tmp_path / "model")
    return tmp_path


def ids(plan: Plan) -> dict[str, str]:
    return {cell.title: cell.id for cell in plan.cells}


def test_ids_do_not_depend_on_names_or_places(place: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    one = expand(suite([DROP]), place)
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(place / "model", elsewhere / "model")
    two = expand(suite([DROP | {"name": "other"}]), elsewhere)
    assert sorted(ids(one).values()) == sorted(ids(two).values())


@pytest.mark.parametrize("change", ["seed", "samples", "keep", "weights"])
def test_ids_change_with_what_changes_the_numbers(place: Path, change: str) -> None:
    before = ids(expand(suite([DROP]), place))
    given: dict[str, Any] = {"students": [DROP]}
    if change == "seed":
        given["seed"] = 1
    elif change == "samples":
        given["tasks"] = [{"use": "lm-eval", "name": "distbench_facts", "samples": 5}]
    elif change == "keep":
        given["students"] = [DROP | {"init": {"use": "layer-drop", "keep": 3}}]
    else:
        path = place / "model" / "model.safetensors"
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(bytes(data))
    after = ids(expand(suite(**given), place))
    assert before["drop on distbench_facts"] != after["drop on distbench_facts"]


def test_a_distilled_student_has_its_control_after_it(place: Path) -> None:
    plan = expand(suite([KD]), place)
    assert [m.name for m in plan.models] == ["big", "kd", "kd-no-teacher"]
    made = {c.title: c for c in plan.cells if isinstance(c, MakeCell)}
    kd, control = made["make kd"], made["make kd-no-teacher"]
    assert (kd.train.use, control.train.use) == ("soft-labels", "hard-labels")  # type: ignore[union-attr]
    assert kd.init == control.init
    assert kd.train.data == control.train.data  # type: ignore[union-attr]
    assert kd.signal_temperature == control.signal_temperature == 2.0
    assert control.train.options == {"epochs": 1}  # type: ignore[union-attr]


def test_a_control_can_be_declined(place: Path) -> None:
    plan = expand(suite([KD | {"distil": KD["distil"] | {"control": "none"}}]), place)
    assert [m.name for m in plan.models] == ["big", "kd"]


def test_every_measured_group_holds_its_teacher(place: Path) -> None:
    students = [DROP | {"name": f"s{i}", "init": {"use": "layer-drop", "keep": [0, 3]}} for i in range(GROUP + 1)]
    plan = expand(suite(students, measure={"latency": {}}), place)
    groups = [[m.name for m in c.models] for c in plan.cells if isinstance(c, MeasureCell)]
    assert groups == [["big", "s0", "s1", "s2", "s3"], ["big", "s4"]]


def test_needs_come_before_those_who_need_them(place: Path) -> None:
    plan = expand(suite([KD, DROP], measure={"memory": {}}), place)
    seen: set[str] = set()
    for cell in plan.cells:
        assert set(cell.needs) <= seen
        seen.add(cell.id)


def test_an_unused_teacher_is_not_evaluated(place: Path) -> None:
    teachers = {name: {"use": "hf-causal", "source": "./model"} for name in ("big", "idle")}
    plan = expand(suite([DROP], teachers=teachers), place)
    assert all("idle" not in c.title for c in plan.cells if isinstance(c, EvaluateCell))


BAD = {
    "an untrained tree": ({"name": "t", "of": "big", "init": {"use": "decision-tree"}}, {}, "give it a 'distil' step"),
    "a tree learns no tokens": (
        {"name": "t", "of": "big", "init": {"use": "decision-tree"}, "distil": KD["distil"]},
        {},
        "gives tokens; 'decision-tree' learns from features",
    ),
    "a language model classifies nothing": (
        DROP,
        {"tasks": [{"use": "classification", "data": {"use": "sklearn-digits"}}]},
        "needs classify",
    ),
    "an lm-eval task without a name": (DROP, {"tasks": [{"use": "lm-eval"}]}, "needs a name"),
    "a group that changes its tasks": (
        DROP,
        {"tasks": [{"use": "lm-eval", "name": "openllm"}]},
        "group 'openllm' redefines its tasks",
    ),
    "a data file that is not there": (
        DROP,
        {"tasks": [{"use": "lm-eval", "name": "piqa", "data": {"validation": "nowhere.jsonl"}}]},
        "nowhere.jsonl does not exist",
    ),
}


def test_a_group_of_tasks_is_asked_task_by_task(place: Path) -> None:
    plan = expand(suite([DROP], tasks=[{"use": "lm-eval", "name": "ai2_arc", "weight": 3.0}]), place)
    assert [(task.name, task.group, task.weight) for task in plan.tasks] == [
        ("arc_challenge", "ai2_arc", 1.5),
        ("arc_easy", "ai2_arc", 1.5),
    ]
    asked = [cell.title for cell in plan.cells if isinstance(cell, EvaluateCell)]
    assert sorted(asked) == sorted(f"{m.name} on {t.name}" for m in plan.models for t in plan.tasks)


def test_weight_and_group_of_a_task_do_not_change_its_cells(place: Path) -> None:
    one = expand(suite([DROP], tasks=[{"use": "lm-eval", "name": "arc_easy"}]), place)
    group = expand(suite([DROP], tasks=[{"use": "lm-eval", "name": "ai2_arc"}]), place)
    assert ids(one)["drop on arc_easy"] == ids(group)["drop on arc_easy"]


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_work_is_refused_at_plan_time(place: Path, case: str) -> None:
    student, changes, message = BAD[case]
    with pytest.raises(UsageError, match=message):
        expand(suite([student], **changes), place)
