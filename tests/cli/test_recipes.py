"""The recipes that come with distbench are valid, and make their students: here of a model of a few kilobytes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from distbench.suite.bundled import bundled_suites
from distbench.suite.load import load_suite
from tests.command import here
from tests.conftest import save_tiny_lm

RECIPES = sorted(name for name in bundled_suites() if "/" in name)
SMALL = "data={use: teacher-sampled, sequences: 8, length: 8, heldout: 2}"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_valid_and_says_what_it_is(name: str) -> None:
    loaded = load_suite(bundled_suites()[name])
    assert 40 <= len(loaded.suite.description or "") <= 300
    assert bundled_suites()[name].read_text().startswith("# ")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipes")
    save_tiny_lm(folder / "teacher", seed=3)
    return folder


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("distilbert-style", ["students.half.init.keep=2"]),
        ("prune-and-distil", ["students.narrow.init.intermediate_size=32", "students.shallow.init.keep=2"]),
        ("reverse-kl", ["students.reverse.init.keep=2", "students.forward.init.keep=2"]),
    ],
)
def test_a_recipe_for_language_models_makes_its_students(place: Path, name: str, changes: list[str]) -> None:
    students = load_suite(bundled_suites()[f"recipes/{name}"]).suite.students
    small = [f"students.{student.name}.distil.{SMALL}" for student in students]
    sets = [f"teachers.teacher.source={place / 'teacher'}", "threads=1", *changes, *small]
    flags = [flag for each in sets for flag in ("--set", each)]
    done = here(place, "distil", f"recipes/{name}", *flags, "--out", name, "--json", "-q", check=0)
    made = json.loads(done.stdout)["models"]
    assert {row["name"] for row in made} >= {student.name for student in students}
    assert all(row["checkpoint"] and row["heldout_kl_after"] is not None for row in made)


def test_generations_teach_each_other(place: Path) -> None:
    flags = [f"--set=students.{name}.distil.epochs=2" for name in ("second", "third", "of-all")]
    done = here(
        place, "run", "recipes/born-again", *flags, "--set", "teachers.first.fit.epochs=2", "--json", "-q", check=0
    )
    students = {row["name"]: row for row in json.loads(done.stdout)["students"]}
    assert set(students) >= {"second", "third", "of-all"}
    assert all(students[name]["control"] == f"{name}-no-teacher" for name in ("second", "third", "of-all"))
