"""A launch is part of what it makes, where it changes the rounding; what cannot train together is refused."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from distbench.errors import UsageError
from distbench.plan.expand import Plan, expand
from distbench.schema.cell import MakeCell
from distbench.schema.suite import Suite

DATA = {"use": "teacher-sampled", "sequences": 8}


def plan(place: Path, launch: dict[str, Any] | None) -> Plan:
    distil = {"use": "soft-labels", "data": DATA, "epochs": 1} | ({"launch": launch} if launch else {})
    made = {"name": "kd", "of": "big", "init": {"use": "layer-drop", "keep": 2}, "distil": distil}
    teachers = {"big": {"use": "hf-causal", "source": "./model"}}
    tasks = [{"use": "lm-eval", "name": "distbench_facts"}]
    given = {"version": 1, "name": "s", "device": "cpu", "teachers": teachers, "students": [made], "tasks": tasks}
    return expand(Suite.model_validate(given), place)


def made(plan: Plan) -> dict[str, MakeCell]:
    return {cell.title: cell for cell in plan.cells if isinstance(cell, MakeCell)}


@pytest.fixture
def place(tiny_lm: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_lm, tmp_path / "model")
    return tmp_path


def test_one_process_is_no_launch_and_two_are_another_student(place: Path) -> None:
    none, one, two, copies = (
        made(plan(place, launch))["make kd"].id
        for launch in (None, {"processes": 1}, {"processes": 2}, {"processes": 2, "sharding": "none"})
    )
    assert none == one
    assert len({none, two, copies}) == 3


def test_the_control_is_trained_by_as_many_processes(place: Path) -> None:
    cells = made(plan(place, {"processes": 2}))
    launches = {title: cell.train.launch.processes for title, cell in cells.items() if cell.train and cell.train.launch}
    assert launches == {"make kd": 2, "make kd-no-teacher": 2}


def test_a_model_that_trains_by_itself_is_refused(tmp_path: Path) -> None:
    data = {"use": "sklearn-digits"}
    fit = {"use": "hard-labels", "data": data, "epochs": 1, "launch": {"processes": 2}}
    given = {
        "version": 1,
        "name": "s",
        "device": "cpu",
        "teachers": {"net": {"use": "mlp", "hidden": [8], "fit": fit}},
        "students": [{"name": "q", "of": "net", "init": {"use": "mlp", "hidden": [4]}, "distil": fit}],
        "tasks": [{"use": "classification", "data": data}],
    }
    with pytest.raises(UsageError, match="launch needs processes, which 'mlp' does not offer"):
        expand(Suite.model_validate(given), tmp_path)
