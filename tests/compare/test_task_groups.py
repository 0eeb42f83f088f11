"""Groups of tasks: a retention of their own, and a verdict that a fine average does not hide."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from distbench.compare.task_groups import task_groups, with_groups
from distbench.compare.tasks import Compared, compare_task
from distbench.compare.verdicts import suite_score
from distbench.schema.suite import GateSpec, TaskGate, TaskSpec
from tests.compare.records import evaluated, rows

GATE = GateSpec(retained=0.8, task_floor=0.9)


def compared(tmp_path: Path, task: str, group: str | None, lost: float) -> Compared:
    teacher = (np.random.default_rng(1).random(600) < 0.9).astype(float)
    student = teacher * (np.random.default_rng(2).random(600) >= lost)
    sides = [
        evaluated(tmp_path / f"{task}-{side}", rows(scores.tolist(), task=task))
        for side, scores in (("t", teacher), ("s", student))
    ]
    for side in sides:
        spec = TaskSpec(use="x", name=task, group=group)
        object.__setattr__(side, "cell", side.cell.model_copy(update={"task": spec}))
    return compare_task(*sides, None, floor=0.9, alpha=0.05, weight=1.0)


def test_each_group_has_the_retention_of_its_tasks(tmp_path: Path) -> None:
    several = [
        compared(tmp_path, "a", "good", 0.0),
        compared(tmp_path, "b", "good", 0.0),
        compared(tmp_path, "c", "bad", 0.3),
        compared(tmp_path, "d", None, 0.0),
    ]
    found = task_groups(several, GATE)
    assert list(found) == ["good", "bad"]
    assert found["good"].verdict == "PASS"
    assert found["good"].retained.n == 1200
    assert found["bad"].verdict == "FAIL"
    assert found["bad"].worst_task == "c"


def test_a_failing_group_fails_the_suite_and_says_so(tmp_path: Path) -> None:
    several = [compared(tmp_path, "a", None, 0.0), compared(tmp_path, "c", "bad", 0.3)]
    suite = suite_score([several[0]], GATE, [])
    assert suite.verdict == "PASS"
    failed = with_groups(suite, task_groups(several, GATE), GATE)
    assert failed.verdict == "FAIL"
    assert "group bad" in (failed.reason or "")


def test_no_group_changes_nothing(tmp_path: Path) -> None:
    one = [compared(tmp_path, "a", None, 0.0)]
    suite = suite_score(one, GATE, [])
    assert with_groups(suite, task_groups(one, GATE), GATE) is suite


def test_a_floor_of_its_own_and_an_advisory_group_are_heeded(tmp_path: Path) -> None:
    several = [compared(tmp_path, "c", "weak", 0.15)]
    assert task_groups(several, GATE)["weak"].verdict == "FAIL"
    lower = GATE.model_copy(update={"tasks": {"weak": TaskGate(floor=0.7)}})
    assert task_groups(several, lower)["weak"].verdict == "PASS"
    shown = GATE.model_copy(update={"tasks": {"weak": TaskGate(required=False)}})
    suite = suite_score([compared(tmp_path, "a", None, 0.0)], GATE, [])
    assert with_groups(suite, task_groups(several, shown), shown) is suite
