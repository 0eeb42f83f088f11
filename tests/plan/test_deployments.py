"""The same student on several runtimes: one row each, made once, never served from another's cache."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from distbench.errors import EnvironmentFault, UsageError
from distbench.plan.expand import Plan, expand
from distbench.schema.cell import EvaluateCell, MakeCell
from tests.plan.test_expand import DROP, KD, suite

EAGER = {"use": "transformers", "attention": "eager"}
COMPILED = {"use": "transformers", "compile": True}


@pytest.fixture
def place(tiny_lm: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_lm, tmp_path / "model")
    return tmp_path


def planned(place: Path, *students: dict[str, Any], **changes: Any) -> Plan:
    return expand(suite(list(students), **changes), place)


def makes(plan: Plan) -> dict[str, MakeCell]:
    return {cell.title: cell for cell in plan.cells if isinstance(cell, MakeCell)}


def test_a_list_of_deployments_gives_a_row_each_and_trains_once(place: Path) -> None:
    plan = planned(place, KD | {"deploy": [EAGER, COMPILED]})
    names = [model.name for model in plan.models]
    assert names == ["big", "kd", "kd-no-teacher", "kd@transformers-eager", "kd@transformers-compile"]
    labels = {model.name: model.label for model in plan.models}
    assert labels["kd@transformers-eager"] == "kd on transformers (attention eager)"
    assert labels["kd@transformers-compile"] == "kd on transformers (compile)"
    cells = makes(plan)
    assert [title for title in cells if title.startswith("make")] == ["make kd", "make kd-no-teacher"]
    export = cells["export kd@transformers-eager"]
    assert export.start is not None
    assert (export.start.cell, export.needs) == (cells["make kd"].id, [cells["make kd"].id])
    assert (export.init, export.train, export.teachers) == (None, None, [])


def test_a_base_is_the_same_cell_with_and_without_deployments(place: Path) -> None:
    plain = makes(planned(place, KD))["make kd"].id
    assert makes(planned(place, KD | {"deploy": [EAGER]}))["make kd"].id == plain
    assert makes(planned(place, KD | {"deploy": EAGER}))["make kd"].id == plain


def test_one_deployment_is_the_student_itself_and_its_control_runs_there_too(place: Path) -> None:
    plan = planned(place, KD | {"deploy": EAGER})
    assert [model.name for model in plan.models] == ["big", "kd", "kd-no-teacher"]
    refs = {model.name: model.ref for model in plan.models}
    assert refs["kd"].options == refs["kd-no-teacher"].options == {"attention": "eager"}
    assert {"export kd", "export kd-no-teacher"} <= set(makes(plan))
    made_by = next(model.made_by for model in plan.models if model.name == "kd")
    assert made_by.endswith("then exported to transformers (attention eager)")


def test_the_teacher_itself_on_other_runtimes_has_no_plain_row(place: Path) -> None:
    plan = planned(place, {"name": "same", "of": "big", "deploy": [EAGER, COMPILED]})
    assert [m.name for m in plan.models] == ["big", "same@transformers-eager", "same@transformers-compile"]
    assert plan.models[1].made_by == "exported to transformers (attention eager)"


def test_options_open_the_same_files_another_way_and_enter_the_identity(place: Path) -> None:
    plan = planned(
        place,
        {"name": "eager", "of": "big", "options": {"attention": "eager"}},
        {"name": "copy", "of": "big", "source": "./model"},
    )
    teacher, eager, copy = (model.ref for model in plan.models)
    assert makes(plan) == {}
    assert (eager.path, eager.content) == (teacher.path, teacher.identity)
    assert eager.identity != teacher.identity == copy.identity
    asked = {cell.title: cell.id for cell in plan.cells if isinstance(cell, EvaluateCell)}
    assert asked["eager on distbench_facts"] != asked["big on distbench_facts"]


def test_a_student_is_opened_as_its_teacher_unless_it_says_otherwise(place: Path) -> None:
    teachers = {"big": {"use": "hf-causal", "source": "./model", "attention": "eager"}}
    plan = planned(place, DROP, DROP | {"name": "own", "options": {}}, teachers=teachers)
    refs = {model.name: model.ref for model in plan.models}
    assert refs["big"].options == refs["drop"].options == {"attention": "eager"}
    assert refs["own"].options == {}
    assert refs["own"].identity != refs["drop"].identity
    assert refs["own"].cell == refs["drop"].cell  # made once, opened in two ways


def test_a_default_that_is_written_out_changes_nothing(place: Path) -> None:
    plain, written = (
        planned(place, DROP | {"options": options}).models[1].ref.identity for options in ({}, {"compile": False})
    )
    assert plain == written


BAD: dict[str, tuple[dict[str, Any], str]] = {
    "twice the same": (DROP | {"deploy": [EAGER, EAGER]}, "two of its deployments are 'transformers-eager'"),
    "a classifier as a language model": (
        {"name": "t", "of": "small", "deploy": EAGER},
        "deploy 'transformers' needs causal-lm, language, which 'mlp' does not offer",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_deployed_is_refused(place: Path, case: str) -> None:
    student, message = BAD[case]
    small = {"use": "mlp", "fit": {"use": "hard-labels", "data": {"use": "sklearn-digits"}}}
    teachers = {"big": {"use": "hf-causal", "source": "./model"}, "small": small}
    with pytest.raises(UsageError, match=message):
        planned(place, student, teachers=teachers)


@pytest.mark.parametrize("module", ["onnxruntime", "onnx", "onnxscript"])
def test_a_missing_extra_is_named_before_anything_runs(
    place: Path, module: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("onnxruntime", "onnx", "onnxscript"):
        monkeypatch.setitem(sys.modules, name, None if name == module else sys)  # None: cannot be imported
    with pytest.raises(EnvironmentFault, match=rf"needs '{module}'.*pip install 'distbench\[onnx\]'"):
        planned(place, DROP | {"deploy": {"use": "onnxruntime"}})


def test_a_runtime_that_runs_on_the_cpu_only_is_refused_elsewhere() -> None:
    from distbench.plan.capabilities import check_runs

    with pytest.raises(EnvironmentFault, match="deploy: 'onnxruntime' runs on cpu only, not on cuda:0"):
        check_runs("models", "onnxruntime", "student 's': deploy", "cuda:0")


def test_a_quantised_student_is_not_exported_again(place: Path) -> None:
    pytest.importorskip("onnxruntime", reason="the refusal comes after the check of the extra")
    student = DROP | {"quantise": {"use": "int8-dynamic"}, "deploy": {"use": "onnxruntime"}}
    with pytest.raises(UsageError, match="cannot export a quantised model; leave out 'quantise'"):
        planned(place, student)
