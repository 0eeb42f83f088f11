"""What the statistics cost: `pytest tests/benchmarks`. Shown, never asserted: machines are noisy."""

from __future__ import annotations

from typing import Any

import numpy as np

from distbench import stats


def paired(n: int) -> tuple[Any, Any]:
    random = np.random.default_rng(0)
    teacher = (random.random(n) < 0.7).astype(float)
    student = np.where(random.random(n) < 0.1, 1 - teacher, teacher)
    return student, teacher


def test_score_interval_of_a_large_task(benchmark: Any) -> None:
    student, teacher = paired(14_042)
    found = benchmark(stats.retained, student, teacher, baseline=0.25)
    assert found.method == "score_cml"
    assert found.lo < found.value < found.hi


def test_cluster_robust_interval_of_a_large_task(benchmark: Any) -> None:
    student, teacher = paired(14_042)
    found = benchmark(stats.retained, student, teacher, baseline=0.25, clusters=np.arange(14_042) // 20)
    assert found.method == "fieller_cluster"
    assert found.lo < found.value < found.hi
