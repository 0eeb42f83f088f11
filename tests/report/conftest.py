"""Fixtures of the report's tests: results of `made`, and one browser for all of them."""

from __future__ import annotations

import pytest

from distbench.schema.result import Result
from tests.report.made.estimates import TASKS
from tests.report.made.results import result_of
from tests.report.made.students import disagreements, five_students, off_range, student


@pytest.fixture(scope="session")
def synthetic() -> Result:
    """Six students: control, quantised, ruined on one task, crashed, hostile, and one far below the gate."""
    return result_of([*five_students(), off_range()])


@pytest.fixture(scope="session")
def many() -> Result:
    """24 students with 300 samples each."""
    students = [
        student(
            f"student-{number:02d}",
            dict(zip(TASKS, (1.0 - number * 0.009, 0.995 - number * 0.011, 0.99 - number * 0.012), strict=True)),
            1.3 * 1.11**number,
            "PASS" if number < 2 else "INCONCLUSIVE" if number < 5 else "FAIL",
            label=f"Family {'ABCD'[number % 4]}, size {number}",
            disagreements=disagreements(300, text=f"text {number}"),
            disagreements_total=1000,
        )
        for number in range(24)
    ]
    return result_of(students, recommended="student-01")


@pytest.fixture(scope="session")
def empty() -> Result:
    """A run of which nothing finished."""
    return result_of(
        [],
        teachers=[],
        recommended=None,
        verdict="INVALID",
        verdict_reason="No cell finished.",
        cells=[],
        host=None,
        packages={},
        settings={},
        thresholds={},
        warnings=[],
    )


@pytest.fixture(scope="session")
def sizes_only() -> Result:
    """Students without a task and without a measurement: only their sizes are known."""
    bare = student("bare", {}, 2.0, "INVALID", label="bare", gate=[])
    return result_of([bare], recommended=None, verdict="INVALID", verdict_reason="Nothing was scored.", warnings=[])
