#!/usr/bin/env python3
"""What every training run of a student scored, beside its control of the same seed, with a t interval over seeds.

usage: scripts/distil/seed_table.py RUN [--json FILE]

RUN: a finished run of a suite with `seeds`. Scores are the primary metric's; a rate per byte or word is the ratio of
sums. The interval is that of the mean paired difference, distilled − control (df = seeds − 1): it covers training runs
on these test items, not other items. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from distbench.schema.plan import PlannedModel
from distbench.schema.record import EvaluateResult, MakeResult
from distbench.store.run_dir import RunDir


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    run = RunDir(arguments.run)
    rows = [row for model in run.manifest().models if model.role == "student" for row in rows_of(model, run)]
    print("| student | seed | task | teacher | no teacher | distilled |\n|---|---|---|---|---|---|")
    for row in rows:
        given = (row[key] for key in ("teacher", "control", "distilled"))
        cells = " | ".join("–" if value is None else f"{value:.4g}" for value in given)
        print(f"| {row['student']} | {row['seed']} | {row['task']} | {cells} |")
    summaries = [summary(name, task, rows) for name, task in sorted({(row["student"], row["task"]) for row in rows})]
    print("\n| student | task | seeds | distilled − control | 95 % |\n|---|---|---|---|---|")
    for each in summaries:
        interval = "–" if each["low"] is None else f"[{each['low']:+.4g}, {each['high']:+.4g}]"
        print(f"| {each['student']} | {each['task']} | {each['seeds']} | {each['difference']:+.4g} | {interval} |")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "summary": summaries}, indent=1) + "\n", encoding="utf-8")


def rows_of(model: PlannedModel, run: RunDir) -> list[dict[str, Any]]:
    """Return a row a task, and one of the held-out KL, of one training run and its control."""
    if model.control is None:
        return []
    ours, control, teacher = (scores(name, run) for name in (model.name, model.control, model.of[0]))
    name = model.seed_of or model.name
    return [
        {
            "student": name,
            "seed": model.seed,
            "task": task,
            "teacher": teacher.get(task),
            "control": control[task],
            "distilled": ours[task],
        }
        for task in ours
        if task in control
    ]


def scores(name: str, run: RunDir) -> dict[str, float]:
    """Return a model's primary score of each task, and its held-out KL where it was trained here."""
    cell = next(model.ref.cell for model in run.manifest().models if model.name == name)
    found: dict[str, float] = {}
    for planned in run.manifest().cells:
        if planned.kind == "evaluate" and planned.title.startswith(f"{name} on ") and run.is_done(planned.id):
            result = run.record(planned.id).result
            assert isinstance(result, EvaluateResult)
            primary = next(metric.name for metric in result.metrics if metric.primary)
            samples = pd.read_parquet(run.cells / planned.id / "samples.parquet")
            found[planned.title.removeprefix(f"{name} on ")] = score(samples[samples.metric == primary])
    if cell is not None:
        made = run.record(cell).result
        assert isinstance(made, MakeResult)
        if made.training and made.training.heldout_kl_after is not None:
            found["held-out KL to the teacher"] = made.training.heldout_kl_after
    return found


def score(samples: pd.DataFrame) -> float:
    """Return the mean score, or the ratio of sums of a rate."""
    if samples.numerator.notna().all():
        return float(samples.numerator.sum() / samples.denominator.sum())
    return float(samples.score.mean())


def summary(student: str, task: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the mean difference over seeds with its t interval."""
    pairs = [row for row in rows if (row["student"], row["task"]) == (student, task)]
    differences = np.array([row["distilled"] - row["control"] for row in pairs])
    low = high = None
    if len(differences) > 1 and np.ptp(differences) > 0:
        low, high = stats.t.interval(0.95, len(differences) - 1, differences.mean(), stats.sem(differences))
    return {
        "student": student,
        "task": task,
        "seeds": len(differences),
        "difference": float(differences.mean()),
        "low": None if low is None else float(low),
        "high": None if high is None else float(high),
    }


if __name__ == "__main__":
    main()
