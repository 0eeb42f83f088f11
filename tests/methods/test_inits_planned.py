"""Where a student starts, from the suite to the model's files: planned by content, refused early, made as planned."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from distbench.cell.make import make
from distbench.errors import DistbenchError, UsageError
from distbench.models.hf_causal import HFCausal
from distbench.plan.expand import Plan, expand
from distbench.schema.cell import MakeCell
from distbench.schema.record import MakeResult
from distbench.schema.suite import Suite
from distbench.store.run_dir import RunDir
from tests.conftest import CPU

DATA = {"use": "teacher-sampled", "sequences": 8, "length": 8, "heldout": 2}
HARD = {"use": "hard-labels", "data": DATA, "steps": 2, "batch_size": 2}
SOFT = HARD | {"use": "soft-labels"}
MEASURED = {"samples": 4, "length": 8}


def plan(place: Path, **student: Any) -> Plan:
    suite = {
        "version": 1,
        "name": "s",
        "device": "cpu",
        "threads": 1,
        "teachers": {"big": {"use": "hf-causal", "source": "./model"}},
        "students": [{"name": "small", "of": "big", **student}],
        "tasks": [{"use": "lm-eval", "name": "distbench_facts"}],
    }
    return expand(Suite.model_validate(suite), place)


def made(plan: Plan, place: Path) -> tuple[MakeResult, HFCausal]:
    """Make the suite's student; return its record and the model that its files hold."""
    (cell,) = (cell for cell in plan.cells if isinstance(cell, MakeCell) and cell.role == "student")
    run = RunDir.prepare(place / "run")
    folder = run.cells / cell.id
    folder.mkdir()
    result = make(cell, run, folder, lambda *_: None)
    return result, HFCausal.open(folder / "model", CPU)


def cell_id(plan: Plan) -> str:
    return next(cell.id for cell in plan.cells if isinstance(cell, MakeCell))


@pytest.fixture
def place(tiny_lm: Path, tmp_path: Path) -> Path:
    shutil.copytree(tiny_lm, tmp_path / "model")
    (tmp_path / "texts.txt").write_text("the doctor with the patients\nthe cats were on the mat\n", encoding="utf-8")
    return tmp_path


CALIBRATED: dict[str, dict[str, Any]] = {
    "layer-drop": {"keep": 2, "by": "influence"},
    "width-prune": {"intermediate_size": 32},
}


@pytest.mark.parametrize("use", CALIBRATED)
def test_calibration_text_counts_by_its_content_and_starts_at_the_suite(
    place: Path, use: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def planned(at: Path, file: str | None) -> Plan:
        texts = {"texts": file} if file else {}
        return plan(at, init={"use": use, **CALIBRATED[use], "calibration": texts | MEASURED})

    elsewhere = tmp_path_factory.mktemp("elsewhere")
    shutil.copytree(place / "model", elsewhere / "model")
    shutil.copy(place / "texts.txt", elsewhere / "other.txt")
    one = planned(place, "texts.txt")
    assert cell_id(one) == cell_id(planned(place, str(place / "texts.txt")))
    assert cell_id(one) == cell_id(planned(elsewhere, "other.txt"))
    assert cell_id(one) != cell_id(planned(place, None))
    result, student = made(one, place)
    assert result.initial is not None
    assert len(result.initial["calibration"]["texts"]) == 64
    assert (student.layer_count(), student.module.config.intermediate_size) in {(2, 64), (4, 32)}
    card = (place / "run" / "cells" / cell_id(one) / "model" / "provenance.json").read_text(encoding="utf-8")
    assert str(place) not in card
    (place / "texts.txt").write_text("another text\n", encoding="utf-8")
    assert cell_id(one) != cell_id(planned(place, "texts.txt"))


@pytest.mark.parametrize(
    ("student", "message"),
    [
        ({"init": {"use": "layer-drop", "keep": 9}}, "keep 9 of 4 blocks"),
        ({"init": {"use": "width-prune", "hidden_size": 64}}, "hidden_size 64 is more than the parent's 32"),
        ({"init": {"use": "config", "num_hidden_layer": 2}, "distil": SOFT}, "did you mean 'num_hidden_layers'"),
        ({"init": {"use": "config", "num_hidden_layers": 2}}, "makes an untrained model; give it a 'distil' step"),
        ({"init": {"use": "like-teacher"}}, "makes an untrained model; give it a 'distil' step"),
        (
            {"init": {"use": "layer-drop", "keep": 2, "by": "influence", "calibration": {"texts": "nowhere.txt"}}},
            r"the file .*nowhere\.txt does not exist",
        ),
    ],
)
def test_what_cannot_be_is_refused_when_a_run_is_planned(place: Path, student: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan(place, **student)


def test_another_family_is_refused_when_a_run_is_planned(place: Path) -> None:
    config = json.loads((place / "model" / "config.json").read_text())
    (place / "model" / "config.json").write_text(json.dumps(config | {"model_type": "gemma"}))
    with pytest.raises(DistbenchError, match="width-prune knows the layout of llama"):
        plan(place, init={"use": "width-prune", "intermediate_size": 32})


@pytest.mark.parametrize(
    ("init", "layers", "hidden", "inner"),
    [
        ({"use": "config", "num_hidden_layers": 1, "hidden_size": 16}, 1, 16, 64),
        ({"use": "like-teacher"}, 4, 32, 64),
        ({"use": "width-prune", "hidden_size": 24, "keep": 3, "calibration": MEASURED}, 3, 24, 64),
        ({"use": "layer-drop", "keep": 2, "by": "influence", "calibration": MEASURED}, 2, 32, 64),
    ],
)
def test_a_student_is_made_trained_and_opened_again(
    place: Path, init: dict[str, Any], layers: int, hidden: int, inner: int
) -> None:
    result, student = made(plan(place, init=init, distil=SOFT), place)
    config = student.module.config
    assert (config.num_hidden_layers, config.hidden_size, config.intermediate_size) == (layers, hidden, inner)
    assert result.training is not None
    assert result.training.steps == 2
    assert result.initial is not None
    assert result.footprint.params_unique == sum(p.numel() for p in student.module.parameters())


def test_an_existing_checkpoint_is_where_a_distilled_student_starts(place: Path, other_lm: Path) -> None:
    shutil.copytree(other_lm, place / "start")
    planned = plan(place, source="./start", distil=SOFT)
    cells = [cell for cell in planned.cells if isinstance(cell, MakeCell)]
    assert [(cell.role, cell.train.use if cell.train else None) for cell in cells] == [
        ("student", "soft-labels"),
        ("control", "hard-labels"),
    ]
    assert all(cell.start is not None and cell.start.path == str(place / "start") for cell in cells)
    assert all(cell.init is None for cell in cells)
    assert [teacher.name for teacher in cells[0].teachers] == ["big"]
    result, student = made(planned, place)
    before = HFCausal.open(place / "start", CPU)
    assert student.layer_count() == before.layer_count() == 2
    assert result.initial is None
    pairs = zip(student.module.parameters(), before.module.parameters(), strict=True)
    moved = [float((a - b).detach().abs().max()) for a, b in pairs]
    assert 0 < max(moved) < 0.01  # two small steps away from where it started, and not from the teacher
    with torch.no_grad():
        teacher = HFCausal.open(place / "model", CPU).module.model.embed_tokens.weight
        assert float((student.module.model.embed_tokens.weight - teacher).abs().max()) > 0.01


def test_another_start_is_another_student(place: Path, other_lm: Path, tiny_lm: Path) -> None:
    shutil.copytree(other_lm, place / "start")
    one = cell_id(plan(place, source="./start", distil=SOFT))
    shutil.rmtree(place / "start")
    shutil.copytree(tiny_lm, place / "start")
    assert one != cell_id(plan(place, source="./start", distil=SOFT))
