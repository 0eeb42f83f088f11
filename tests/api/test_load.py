"""`distbench.load`: lazy, the package's own errors, and frames that say what the result says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import distbench
from distbench.errors import RefusedError, UsageError
from distbench.exports.json_document import json_text
from distbench.schema.result import Result
from distbench.tables import TABLES
from scripts.document_tables import described
from tests.report.made.results import result_of
from tests.report.made.students import five_students, off_range

LIGHT = """
import sys, distbench
assert distbench.__version__
assert "load" in dir(distbench)
heavy = [m for m in ("pandas", "numpy", "pydantic", "pyarrow", "distbench.api") if m in sys.modules]
assert not heavy, heavy
run = distbench.load(sys.argv[1])
heavy = [m for m in ("pandas", "scipy", "plotly", "torch") if m in sys.modules]
assert not heavy, heavy
assert "result" not in run.__dict__
run.students
assert "plotly" not in sys.modules and "torch" not in sys.modules
"""


@pytest.fixture(scope="module")
def synthetic() -> Result:
    return result_of([*five_students(), off_range()])


def test_nothing_is_loaded_before_it_is_asked_for(run_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", LIGHT, str(run_path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_module_has_only_what_it_has() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'laod'"):
        distbench.laod  # noqa: B018


def test_a_run_and_its_document_say_the_same(loaded: distbench.Run, tmp_path: Path) -> None:
    file = tmp_path / "sent.json"
    file.write_text(loaded.result.model_dump_json(), encoding="utf-8")
    sent = distbench.load(str(file))
    assert sent.result == loaded.result
    assert sent.verdict == loaded.verdict == "FAIL"
    for name in TABLES:
        pd.testing.assert_frame_equal(sent.table(name), loaded.table(name))


@pytest.mark.parametrize(
    ("content", "error", "words"),
    [
        (None, UsageError, "no run at"),
        ("{", RefusedError, "is no result document"),
        ('{"result_schema": 99}', RefusedError, "is no result document"),
        ("\x00\xff", RefusedError, "is no result document"),
    ],
)
def test_a_missing_or_damaged_run_is_one_line(
    content: str | None, error: type[Exception], words: str, tmp_path: Path
) -> None:
    file = tmp_path / "result.json"
    if content is not None:
        file.write_text(content, encoding="latin-1")
    with pytest.raises(error, match=words) as caught:
        _ = distbench.load(file).result
    assert "\n" not in str(caught.value)


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"it has no manifest\.json"):
        distbench.load(tmp_path)
    (tmp_path / "manifest.json").write_text("{}", encoding="utf-8")
    with pytest.raises(UsageError, match="name its directory"):
        _ = distbench.load(tmp_path / "manifest.json").result
    with pytest.raises(RefusedError, match="damaged"):
        _ = distbench.load(tmp_path).result


def test_every_table_has_its_columns_and_types(synthetic: Result) -> None:
    run = distbench.Run(result=synthetic)
    dtypes = {"text": "string", "number": "float64", "whole": "Int64", "flag": "boolean"}
    filled = set()
    for name, table in TABLES.items():
        frame = run.table(name)
        assert list(frame.columns) == [column.name for column in table.columns]
        assert len(set(frame.columns)) == len(frame.columns)
        assert all(set(row) == set(frame.columns) for row in table.rows(synthetic)), name
        assert [str(frame[column.name].dtype) for column in table.columns] == [dtypes[c.kind] for c in table.columns]
        filled |= {name} if len(frame) else set()
    assert filled == set(TABLES) - {"studies", "seeds"}
    with pytest.raises(UsageError, match="did you mean 'tasks'"):
        run.table("task")


def test_columns_are_documented() -> None:
    page = (Path(__file__).parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
    assert described() in page, "write it again: python scripts/document_tables.py"
    assert all(f"### `{name}`" in page for name in TABLES)


def test_numbers_are_those_of_the_result(synthetic: Result) -> None:
    run = distbench.Run(result=synthetic)
    students = run.students.set_index("student")
    for student in synthetic.students:
        row = students.loc[student.name]
        if student.suite.retained.value is None:
            assert np.isnan(row.retained)
            assert row.retained_reason == "no scores"
        else:
            assert row.retained == student.suite.retained.value
    assert students.loc["hostile", "retained_hi"] is not pd.NA
    assert np.isnan(students.loc["hostile", "retained_hi"])  # unbounded
    assert np.isnan(students.loc["soft-23-int8", "memory"])
    assert "cannot be read" in students.loc["soft-23-int8", "memory_reason"]
    tasks = run.tasks[run.tasks.primary]
    assert len(tasks) == sum(len(student.tasks) for student in synthetic.students)
    riddles = tasks[tasks.task == "riddles"]
    assert riddles.retained.isna().all()
    assert riddles.retained_reason.str.contains("not significantly above chance").all()
    assert len(run.gate) == sum(len(student.gate) for student in synthetic.students)
    assert len(run.measurements) == sum(len(s.measurements) for s in synthetic.students) + len(
        synthetic.teachers[0].again
    )


def test_an_unknown_number_is_never_zero(synthetic: Result) -> None:
    """Every missing estimate is NaN and has a reason beside it, in every table."""
    run = distbench.Run(result=synthetic)
    checked = 0
    for name, table in TABLES.items():
        frame = run.table(name)
        for column in table.columns:
            if column.kind == "number" and f"{column.name}_reason" in frame:
                missing = frame[frame[column.name].isna()]
                checked += len(missing)
                assert missing[f"{column.name}_reason"].notna().all(), f"{name}.{column.name}"
    assert checked > 100


def test_hostile_text_stays_as_it_is(synthetic: Result) -> None:
    run = distbench.Run(result=synthetic)
    label = next(student.label for student in synthetic.students if student.name == "hostile")
    assert label in set(run.students.label)
    assert any("\ud800" in prompt for prompt in run.disagreements.prompt)


def test_several_runs_are_one_comparison(synthetic: Result, tmp_path: Path) -> None:
    later = synthetic.model_copy(update={"run": "a later run", "created_at": "2031-01-01T00:00:00Z"})
    paths = [tmp_path / "one.json", tmp_path / "two.json"]
    for path, result in zip(paths, (synthetic, later), strict=True):
        path.write_text(json_text(result), encoding="utf-8")
    both = distbench.load(*paths)
    assert len(both.students) == 2 * len(distbench.load(paths[0]).students)
    assert [each.run for each in both.result.runs] == [synthetic.run, "a later run"]
    with pytest.raises(UsageError, match="no samples"):
        both.samples()
