"""When is the work of two cells alike? Keys of what is done, of the model it is done with, and how much of it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from distbench.hashing import short_digest
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.schema.suite import DistilSpec, FitSpec, TaskSpec

Cell = MakeCell | EvaluateCell | MeasureCell
ROWS = ("sequences", "samples", "examples", "labelled")  # what data sources call the number of their examples
MANY = 100_000_000  # bytes of a data file beyond which its lines are not counted


def signature(cell: Cell) -> str:
    """Return what kind of work a cell does, whatever the model and however much of it.

    Of a `make` cell the plug-ins of its steps, of an evaluation its task, of a measurement its meters.
    """
    if isinstance(cell, EvaluateCell):
        return task_signature(cell.task, compared=cell.reference is not None)
    if isinstance(cell, MeasureCell):
        return short_digest(["measure", cell.meters, cell.workload and task_signature(cell.workload)])
    steps = [use.use if use else None for use in (cell.init, cell.quantise, cell.deploy)]
    train = [cell.train.use, cell.train.data.use] if cell.train else None
    return short_digest(["make", cell.use, steps, train, bool(cell.teachers), cell.record])


def task_signature(task: TaskSpec, *, compared: bool = False) -> str:
    """Return what a task asks, without how many samples, where its data lies and what it weighs."""
    given = task.model_dump(mode="json", exclude={"data", "weight", "group", "samples", "part", "template"})
    return short_digest(["evaluate", given, compared])


def model_key(cell: EvaluateCell | MeasureCell) -> str:
    """Return which model (or models) is at work."""
    refs = [cell.model] if isinstance(cell, EvaluateCell) else cell.models
    return refs[0].identity if len(refs) == 1 else short_digest([ref.identity for ref in refs])


def lineage(cell: MakeCell) -> str:
    """Return the recipe of a model without the versions that its id holds: equal ones do the same work."""
    parents = [ref.content or ref.identity for ref in (*cell.teachers, *([cell.start] if cell.start else []))]
    return short_digest([cell.use, parents, cell.init, _plain(cell.train), cell.quantise, cell.deploy, cell.record])


def _plain(train: DistilSpec | FitSpec | None) -> Any:
    return train.model_dump(mode="json") if train else None


def amount_of(cell: Cell) -> float | None:
    """Return how much a cell is asked to do: samples, units of training data, models; None: nobody knows yet."""
    if isinstance(cell, EvaluateCell):
        return samples_of(cell.task)
    if isinstance(cell, MeasureCell):
        return float(len(cell.models))
    return training_amount(cell.train) if cell.train else None


def samples_of(task: TaskSpec) -> float | None:
    """Return the samples of a task: what the suite asks for, at most the lines of its local file."""
    there = lines_of(task)
    if task.part is not None:
        stop = task.part.stop
        return None if stop is None else float(min(stop, there or stop) - task.part.start)
    if task.samples == "all":
        return float(there) if there else None
    return float(min(task.samples, there or task.samples))


def lines_of(task: TaskSpec) -> int | None:
    """Return the lines of the local file that a task is asked from; None where there is not just one."""
    paths = [value for value in (task.data or {}).values() if isinstance(value, str)]
    return _lines(paths[0]) if len(paths) == 1 and paths[0].endswith(".jsonl") else None


@lru_cache(maxsize=4096)
def _lines(path: str) -> int | None:
    try:
        if Path(path).stat().st_size > MANY:
            return None
        with Path(path).open("rb") as file:
            return sum(1 for line in file if line.strip())
    except OSError:
        return None


def training_amount(train: DistilSpec | FitSpec) -> float | None:
    """Return tokens or examples that a training sees, from its options; None where they do not say."""
    options, data = train.options, train.data.options
    length = _number(data, "length") or 1.0
    steps, batch = _number(options, "steps"), _number(options, "batch_size")
    if steps and batch:
        return steps * batch * length
    rows = next((found for name in ROWS if (found := _number(data, name))), None)
    return rows * length * (_number(options, "epochs") or 1.0) if rows else None


def _number(options: Mapping[str, Any], name: str) -> float | None:
    value = options.get(name)
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 0 else None
