"""`import lm-eval`: results of models that were evaluated elsewhere."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.table import Table

from distbench.cli.output import err, out, print_json
from distbench.errors import UsageError
from distbench.importers.lm_eval_run import Side, Wishes, import_lm_eval
from distbench.schema.record import EvaluateResult
from distbench.schema.suite import GateSpec
from distbench.store.run_dir import RunDir


def sides(
    folders: Sequence[Path],
    teacher: tuple[str | None, Path | None],
    names: Sequence[str],
    sources: Sequence[Path],
) -> tuple[Side, list[Side]]:
    """Return the teacher and the students; names and sources of students go by their order."""
    students = list(folders[1:])
    for what, given in (("--student-name", names), ("--student-source", sources)):
        if given and len(given) != len(students):
            raise UsageError(
                f"{what} is given {len(given)} times for {len(students)} students; give one each, in order"
            )
    absent = [None] * len(students)
    rows = zip(students, names or absent, sources or absent, strict=True)
    return Side(folders[0], *teacher), [Side(folder, name, source) for folder, name, source in rows]


def metrics_of(given: Sequence[str]) -> dict[str, str]:
    """Return {task: metric} of options `TASK=METRIC`."""
    pairs = [each.partition("=") for each in given]
    for task, sign, metric in pairs:
        if not (task and sign and metric):
            raise UsageError(f"--metric {task + sign + metric!r}: expected TASK=METRIC, such as gsm8k=exact_match")
    return {task: metric for task, _, metric in pairs}


def gate_of(retained: float | None, task_floor: float | None) -> GateSpec:
    """Return the thresholds that the run is gated by."""
    given = {"retained": retained, "task_floor": task_floor}
    for name, value in given.items():
        if value is not None and not 0 < value <= 2:
            raise UsageError(f"--{name.replace('_', '-')} must be greater than 0 and at most 2, got {value:g}")
    return GateSpec(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def import_results(teacher: Side, students: Sequence[Side], path: Path, wishes: Wishes, *, as_json: bool) -> None:
    """Import and print which tasks became what."""
    command = Wishes(wishes.name, wishes.tasks, wishes.metrics, wishes.gate, ("distbench", *sys.argv[1:]))
    import_lm_eval(teacher, students, path, command)
    run = RunDir.existing(path)
    rows = _rows(run)
    notes = [f"{model.name}: {note}" for model in run.manifest().models for note in model.notes]
    if as_json:
        print_json({"run": str(path), "imported": rows, "notes": notes})
        return
    table = Table(box=None, pad_edge=False)
    for name in ("task", "model", "documents", "metric", "mean"):
        table.add_column(name)
    for row in rows:
        mean = "not run" if row["samples"] is None else "none" if row["mean"] is None else f"{row['mean']:.4f}"
        table.add_row(str(row["task"]), str(row["model"]), str(row["samples"] or "—"), str(row["metric"] or "—"), mean)
    out().print(table)
    for note in notes:
        err().print(f"note: {note}", markup=False, soft_wrap=True)
    out().print(f"next: {shlex.join(['distbench', 'compare', str(path)])}", markup=False, soft_wrap=True)


def _rows(run: RunDir) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for planned in run.manifest().cells:
        cell = run.cell(planned.id)
        assert cell.kind == "evaluate", "an import writes evaluations only"
        row: dict[str, object] = {"task": cell.task.title, "model": cell.model.name, "cell": cell.id}
        result = run.record(cell.id).result if (run.cells / cell.id).is_dir() else None
        if isinstance(result, EvaluateResult):
            facts = next(m for m in result.metrics if m.primary)
            row |= {"samples": facts.n, "metric": facts.name, "mean": facts.mean, "baseline": facts.baseline}
            row |= {"metrics": [m.name for m in result.metrics], "version": result.task_version}
        else:
            row |= dict.fromkeys(("samples", "metric", "mean", "baseline", "metrics", "version"))
        rows.append(row)
    return rows
