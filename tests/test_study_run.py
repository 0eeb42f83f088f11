"""A grid of few labels and three seeds on real images, from the suite file to the page. Nothing is mocked."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distbench.schema.cell import MakeCell
from distbench.schema.record import MakeResult
from distbench.schema.result import Result, StudentResult
from distbench.store.run_dir import RunDir
from tests.command import here

SUITE = """\
version: 1
name: tree-data-efficiency
device: cpu
threads: 1
teachers:
  big: {use: decision-tree, max_depth: 12, fit: {use: hard-labels, data: {use: sklearn-digits}}}
students:
  - name: kd
    label: small tree
    of: big
    init: {use: decision-tree, max_depth: 8}
    distil: {use: soft-labels, seeds: 3, data: {use: sklearn-digits, labelled: [27, 269]}}
tasks:
  - {use: classification, name: digits, data: {use: sklearn-digits}}
gate: {retained: 0.8, task_floor: 0.5}
"""


def distbench(folder: Path, *arguments: str) -> str:
    return here(folder, *arguments, check=0).stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    (folder / "study.yaml").write_text(SUITE)
    return folder


@pytest.fixture(scope="module")
def result(place: Path) -> Result:
    return Result.model_validate_json(distbench(place, "run", "study.yaml", "--out", "one", "--json"))


def student(result: Result, name: str) -> StudentResult:
    return next(each for each in result.students if each.name == name)


def test_the_plan_says_what_the_grid_becomes(place: Path) -> None:
    planned = json.loads(distbench(place, "plan", "study.yaml", "--json"))
    assert planned["studies"] == [{"name": "kd", "students": 2, "axes": {"labelled": [27, 269]}}]
    titles = [cell["title"] for cell in planned["cells"] if cell["kind"] == "make"]
    assert len(titles) == 1 + 2 * 3 * 2
    assert "make kd-labelled269@seed2-no-teacher" in titles
    text = distbench(place, "plan", "study.yaml")
    assert "study kd: 2 students (labelled 27, 269)" in text
    assert "2 students are trained with several seeds: 6 trainings" in text


def test_students_of_the_grid_have_a_spread_over_their_seeds(result: Result) -> None:
    assert [each.name for each in result.students] == [
        "kd-labelled27", "kd-labelled27-no-teacher", "kd-labelled269", "kd-labelled269-no-teacher",
    ]  # fmt: skip
    for name in ("kd-labelled27", "kd-labelled269"):
        spread = student(result, name).seeds
        assert spread is not None
        assert [row.seed for row in spread.rows] == [0, 1, 2]
        assert len({row.control["digits"] for row in spread.rows}) > 1  # other labels, another tree
        (task,) = spread.tasks
        assert task.delta is not None
        assert task.delta.lo is not None
        assert task.delta.n == 3
        assert student(result, name).gap_recovered == spread.gap_recovered


def test_few_labels_are_where_the_teacher_helps(result: Result) -> None:
    """All 1,078 images with the teacher's answers against a tree of 27 labels: no close call."""
    spread = student(result, "kd-labelled27").seeds
    assert spread is not None
    delta = spread.tasks[0].delta_both
    assert delta is not None
    assert delta.lo is not None
    assert delta.lo > 0


def test_one_teacher_serves_all_and_labels_are_drawn_by_the_seed(place: Path, result: Result) -> None:
    run = RunDir(place / "one")
    cells = [run.cell(cell.id) for cell in run.manifest().cells]
    makes = {cell.title: cell for cell in cells if isinstance(cell, MakeCell)}
    teachers = {ref.identity for cell in makes.values() for ref in cell.teachers}
    assert teachers == {makes["make big"].id}
    assert sum(cell.title == "big on digits" for cell in cells) == 1

    def digest(title: str) -> str:
        made = run.record(makes[f"make {title}"].id).result
        assert isinstance(made, MakeResult)
        assert made.training is not None
        return made.training.data_digest

    assert digest("kd-labelled27") == digest("kd-labelled27-no-teacher")
    assert len({digest(f"kd-labelled27{seed}") for seed in ("", "@seed1", "@seed2")}) == 3


def test_the_study_is_a_curve_on_the_page(place: Path, result: Result) -> None:
    (study,) = result.studies
    assert [axis.amount for axis in study.axes] == [True]
    assert [(entry.at, entry.seeds) for entry in study.entries] == [({"labelled": 27}, 3), ({"labelled": 269}, 3)]
    page = (place / "one" / "report.html").read_text(encoding="utf-8")
    assert 'id="studies"' in page
    assert 'id="seeds"' in page
    assert '"study-1-0"' in page
    assert "Over 3 training runs a side, distilled − control:" in page
    assert "One training run a side" not in page


def test_running_again_trains_nothing(place: Path, result: Result) -> None:
    before = {path: path.stat().st_mtime_ns for path in (place / "one").rglob("cells/*/*")}
    again = Result.model_validate_json(distbench(place, "run", "study.yaml", "--out", "one", "--json"))
    assert {path: path.stat().st_mtime_ns for path in (place / "one").rglob("cells/*/*")} == before
    assert again == result
