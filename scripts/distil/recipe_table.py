#!/usr/bin/env python3
"""What recipes made of a real model: every trained student beside its control, from finished runs.

usage: scripts/distil/recipe_table.py RUN... [--json FILE]

RUN: run directories of `distbench run` or `distbench distil`. Held-out numbers are those of the training's record, in
nats a token; scores are the primary metric of each task, gap recovered as `distbench compare` says it. One training run
a side: what another seed would say is not known here.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from distbench.compare.run import compare
from distbench.schema.plan import PlannedModel
from distbench.schema.record import MakeResult, Training
from distbench.schema.result import StudentResult
from distbench.store.run_dir import RunDir

TITLES = ("recipe", "student", "trained by", "steps", "held-out KL", "cross-entropy", "tasks", "gap recovered", "gate")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    rows = [row for path in asked.runs for row in rows_of(RunDir.existing(path))]
    print(f"| {' | '.join(TITLES)} |\n{'|---' * len(TITLES)}|")
    for row in rows:
        print(f"| {' | '.join(cells_of(row))} |")
    if asked.json:
        asked.json.write_text(json.dumps({"rows": rows}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def rows_of(run: RunDir) -> list[dict[str, Any]]:
    """Return a row for each model of a run that was trained here."""
    manifest = run.manifest()
    evaluated = any(cell.kind == "evaluate" and run.is_done(cell.id) for cell in manifest.cells)
    compared = {student.name: student for student in compare(run).students} if evaluated else {}
    rows = []
    for model in manifest.models:
        training = training_of(model, run)
        if training is not None and model.role != "teacher":
            facts = training.model_dump(mode="json", exclude={"loss"})
            rows.append({"suite": manifest.suite.name, "student": model.name, "label": model.label, "training": facts})
            rows[-1] |= scores_of(compared.get(model.name))
    return rows


def training_of(model: PlannedModel, run: RunDir) -> Training | None:
    """Return how a model was trained, if it was, and in this run."""
    if model.ref.cell is None or not run.is_done(model.ref.cell):
        return None
    made = run.record(model.ref.cell).result
    return made.training if isinstance(made, MakeResult) else None


def scores_of(student: StudentResult | None) -> dict[str, Any]:
    """Return what was asked of a student; nothing where it was only made."""
    if student is None or not student.tasks:
        return {"tasks": [], "gap_recovered": None, "verdict": None}
    tasks = [
        {"task": t.task, "metric": t.metric, "n": t.n, "teacher": t.teacher, "student": t.student}
        for t in student.tasks
    ]
    gap = student.gap_recovered.model_dump(mode="json") if student.gap_recovered else None
    return {"tasks": tasks, "gap_recovered": gap, "verdict": student.verdict}


def cells_of(row: dict[str, Any]) -> list[str]:
    """Return the cells of a row in Markdown."""
    training, gap = row["training"], row["gap_recovered"]
    entropy = training["options"].get("heldout_cross_entropy") or (None, None)
    return [
        row["suite"],
        row["student"],
        training["objective"],
        str(training["steps"]),
        change(training["heldout_kl_before"], training["heldout_kl_after"]),
        change(*entropy),
        ", ".join(f"{task['task']} {task['student']:.3f} (teacher {task['teacher']:.3f})" for task in row["tasks"]),
        "–" if gap is None or gap["value"] is None else f"{gap['value']:.1%} [{gap['lo']:.1%}, {gap['hi']:.1%}]",
        row["verdict"] or "–",
    ]


def change(before: float | None, after: float | None) -> str:
    """Return two numbers, or a dash where they are not known."""
    return "–" if before is None or after is None else f"{before:.3f} → {after:.3f}"


if __name__ == "__main__":
    main()
