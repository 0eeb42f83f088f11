"""The gap that a run prints counts items of one template once, as the gap of each of its tasks does."""

from __future__ import annotations

from pathlib import Path

import pytest

from distbench.compare.gap import suite_gap
from distbench.compare.tasks import Compared, compare_task
from tests.compare.records import evaluated, rows

N = 200
TEMPLATES = [f"template {i // 10}" for i in range(N)]
TEACHER = [1.0] * N
STUDENT = [float(i // 10 % 4 != 0) for i in range(N)]  # a template is right or wrong as one
CONTROL = [float(i // 10 % 2 == 0) for i in range(N)]


def compared(folder: Path, *, task: str = "t", clustered: bool = True) -> Compared:
    columns = {"cluster": TEMPLATES} if clustered else {}
    sides = (
        evaluated(folder / name, rows(scores, task=task, **columns))
        for name, scores in (("teacher", TEACHER), ("student", STUDENT), ("control", CONTROL))
    )
    return compare_task(*sides, floor=0.9, alpha=0.05, weight=1.0)


def test_one_clustered_task_has_the_gap_of_the_task(tmp_path: Path) -> None:
    one = compared(tmp_path / "a")
    gap, own = suite_gap([one], 0.05), one.result.gap_recovered
    apart = suite_gap([compared(tmp_path / "b", clustered=False)], 0.05)
    assert gap is not None
    assert own is not None
    assert apart is not None
    assert gap.method == own.method == "fieller_cluster"
    assert (gap.value, gap.lo, gap.hi) == pytest.approx((own.value, own.lo, own.hi))
    assert apart.method == "fieller_t"
    assert gap.value == pytest.approx(apart.value)
    assert gap.hi - gap.lo > 2 * (apart.hi - apart.lo)  # 20 templates, not 200 items


def test_templates_of_two_tasks_are_never_one(tmp_path: Path) -> None:
    """Equal labels in two tasks, and a task without any, whose items are each their own."""
    two = [compared(tmp_path / "a"), compared(tmp_path / "b", task="u"), compared(tmp_path / "c", clustered=False)]
    gap = suite_gap(two, 0.05)
    assert gap is not None
    assert gap.method == "fieller_cluster"
    one = suite_gap(two[:2], 0.05)
    single = suite_gap(two[:1], 0.05)
    assert one is not None
    assert single is not None
    assert one.hi - one.lo < single.hi - single.lo  # twice the templates
