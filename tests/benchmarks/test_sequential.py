"""What a look at a growing suite costs: `pytest tests/benchmarks`. Shown, never asserted: machines are noisy."""

from __future__ import annotations

from typing import Any

import numpy as np

from distbench import stats


def growing(name: str, n: int, *, seed: int) -> stats.GrowingTask:
    random = np.random.default_rng(seed)
    teacher = (random.random(n) < 0.75).astype(float)
    student = np.where(random.random(n) < 0.1, (random.random(n) < 0.75).astype(float), teacher)
    return stats.GrowingTask(name, student, teacher, n, scale=(0.5, 1.0))


def test_a_suite_of_many_small_tasks(benchmark: Any) -> None:
    tasks = [growing(f"t{i}", 1000, seed=i) for i in range(44)]
    found = benchmark.pedantic(stats.decide_so_far, args=(tasks,), rounds=3)
    assert found.verdict is stats.Verdict.PASS


def test_scores_that_never_repeat(benchmark: Any) -> None:
    random = np.random.default_rng(0)
    teacher = random.beta(8, 3, 14_042)
    student = np.clip(0.97 * teacher + random.normal(0, 0.3, 14_042), 0, 1)
    task = stats.GrowingTask("f1", student, teacher, 14_042)
    found = benchmark.pedantic(stats.decide_so_far, args=([task],), rounds=3)
    assert found.suite.estimate.lo < found.suite.estimate.value < found.suite.estimate.hi
