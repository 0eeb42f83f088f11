"""Small finished runs for the gate: a teacher, students, tasks, all written by hand through the public writer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from distbench.compare.run import compare
from distbench.gate.policy_file import load_policy
from distbench.schema.record import MetricFacts
from distbench.schema.result import GateCheck, Result
from distbench.store.run_dir import RunDir
from tests.compare.records import ACC, Recorded, rows, run_of

N = 400
TEACHER = [1.0] * 320 + [0.0] * 80
NORM = MetricFacts(
    name="acc_norm", primary=False, kind="binary", higher_is_better=True, baseline=0.25, best=1.0, n=0, mean=None
)


def losing(share: float) -> list[float]:
    """Return a student that loses this share of all items and wins none; who loses more loses the same ones too."""
    lost = set(np.random.default_rng(0).permutation(320)[: round(share * N)].tolist())
    return [0.0 if item in lost else score for item, score in enumerate(TEACHER)]


def task(scores: list[float], name: str = "t", norm: list[float] | None = None) -> Recorded:
    """Return a task's records, under a second metric too where `norm` is given."""
    if norm is None:
        return rows(scores, task=name), [ACC]
    return [*rows(scores, task=name), *rows(norm, metric="acc_norm", task=name)], [ACC, NORM]


def small_run(path: Path, students: Mapping[str, Mapping[str, Recorded | None]], **more: Any) -> RunDir:
    """Return a run of one teacher that is right on 80 %, and of these students: name → task → records."""
    tasks = {name for recorded in students.values() for name in recorded}
    norms = {name for recorded in students.values() for name, each in recorded.items() if each and len(each[1]) > 1}
    teacher = {name: task(TEACHER, name, TEACHER if name in norms else None) for name in sorted(tasks)}
    return run_of(path, {"big": teacher, **students}, **more)


def write_policy(path: Path, **rules: Any) -> Path:
    """Write a policy file."""
    path.write_text(yaml.safe_dump({"version": 1, **rules}, allow_unicode=True), encoding="utf-8")
    return path


def judged(run: RunDir, **rules: Any) -> Result:
    """Return the run judged by a policy."""
    return compare(run, load_policy(write_policy(run.path.parent / "policy.yaml", **rules)).policy)


def checks(result: Result, rule: str, student: int = 0) -> list[GateCheck]:
    """Return a student's checks of one rule."""
    return [check for check in result.students[student].gate if check.rule == rule]
