"""`plan --probe`: ask models that are here already a few samples of the suite's tasks, to know how long they take."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from distbench.cli.output import err
from distbench.execute.queue import grouped
from distbench.executors.job import Event, Job
from distbench.executors.local import LocalExecutor
from distbench.plan.capabilities import variables_of
from distbench.plan.estimates.history import keep
from distbench.plan.estimates.past import Past, read_past
from distbench.plan.expand import Plan
from distbench.schema.cell import EvaluateCell
from distbench.schema.durations import duration
from distbench.store.cache import Cache
from distbench.store.run_dir import RunDir

SAMPLES = (8, 40)  # of the trials of a task: two numbers tell what each sample takes from what they all share
BLOCK = 3  # tasks that a model is asked before the next one is loaded
WARM_UP = "warm-up"  # the first task after a model was loaded pays for that, so it is asked twice and counts once


def probe(plan: Plan, seconds: float, cache: Cache) -> list[Past]:
    """Return a row for each short evaluation that fitted into `seconds`, and say on standard error what it took.

    Models take turns, a few tasks each, so that each has a time early. Only models whose files are here are tried;
    what a suite makes first is scaled from them. The rows are kept for the next plan.
    """
    cells = trials(plan)
    if not cells:
        err().print("probe: no model of the suite is here before it is made, so nothing was tried", soft_wrap=True)
        return []
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="distbench-probe-") as place:
        run = RunDir.prepare(Path(place) / "run")
        run.write_plan(cells)
        failed = _ask(run, cells, began + seconds)
        counted = [cell for cell in cells if not cell.id.startswith(WARM_UP)]
        rows = [row for cell in counted if (row := read_past(run.cells / cell.id)) is not None]
    found = [replace(row, probe=True, id=f"probe-{row.id}") for row in rows]
    keep(cache, found)
    took = duration(time.monotonic() - began)
    more = f", {len(failed)} could not be asked: {failed[0]}" if failed else ""
    err().print(
        f"probe: {len(found)} of {len(counted)} short evaluations in {took}{more}", markup=False, soft_wrap=True
    )
    return found


def trials(plan: Plan) -> list[EvaluateCell]:
    """Return short evaluations of the models that are here, without tasks that compare with a teacher.

    The first tasks of each model come first, then the next of each, so that all have about as many.
    """
    by_model: dict[str, list[EvaluateCell]] = {}
    for cell in plan.cells:
        if isinstance(cell, EvaluateCell) and not cell.needs and cell.reference is None and cell.model.path:
            by_model.setdefault(cell.model.identity, []).append(cell)
    rounds = max((len(mine) for mine in by_model.values()), default=0)
    found: list[EvaluateCell] = []
    for first in range(0, rounds, BLOCK):
        for mine in by_model.values():
            block = mine[first : first + BLOCK]
            found += [_short(block[0], SAMPLES[0], WARM_UP)] if block else []
            found += [_short(cell, samples, f"trial-{samples}") for cell in block for samples in SAMPLES]
    return found


def _short(cell: EvaluateCell, samples: int, name: str) -> EvaluateCell:
    task = cell.task.model_copy(update={"samples": samples, "part": None})
    return cell.model_copy(update={"task": task, "id": f"{name}-{cell.id}"})


class _OverError(Exception):
    """The time of the probe is over."""


def _ask(run: RunDir, cells: Sequence[EvaluateCell], deadline: float) -> list[str]:
    """Run cells until the deadline, which ends the one at work; return what went wrong."""
    failed: list[str] = []

    def heard(event: Event) -> None:
        if event["event"] == "failed":
            failed.append(str(event["message"]))
        if time.monotonic() > deadline:
            raise _OverError

    executor = LocalExecutor(run.path)
    try:
        for job in grouped(cells, 1):
            refs = [cell.model for cell in job if isinstance(cell, EvaluateCell)]
            variables = frozenset().union(*(variables_of(ref.use, ref.options) for ref in refs))
            executor.execute(Job([cell.id for cell in job], job[0].settings.threads or 1, variables), heard)
    except _OverError:
        pass
    finally:
        executor.stop()
    return failed
