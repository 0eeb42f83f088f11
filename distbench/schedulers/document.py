"""A plan as data, for any other scheduler: jobs with what they need, what they reserve, and their command."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distbench.schedulers.batches import Batch, Prepared, cache_variable
from distbench.schedulers.options import Options
from distbench.schedulers.stages import Cell
from distbench.schema.forecast import CellForecast


def plan_document(prepared: Prepared, options: Options, forecast: Callable[[Cell], CellForecast]) -> dict[str, Any]:
    """Return the jobs that are left, each with its command as words, and the command that ends the run.

    `needs` names jobs that are left, too; `creates` are files that are there, whole, exactly when the job is done.
    """
    jobs = [job for batch in prepared.batches for job in _jobs(prepared, batch, options, forecast)]
    maker = {cell: job["name"] for job in jobs for cell in job["cells"]}
    for job in jobs:
        job["needs"] = sorted({maker[need] for need in job["needs"] if need in maker} - {job["name"]})
    return {
        "plan_schema": 1,
        "run": str(prepared.run),
        "suite": prepared.suite,
        "folder": str(prepared.folder),
        "cache": cache_variable(),
        "cells": len(prepared.cells),
        "jobs": jobs,
        "finish": [*options.words, "finish", str(prepared.run)],
    }


def _jobs(
    prepared: Prepared, batch: Batch, options: Options, forecast: Callable[[Cell], CellForecast]
) -> list[dict[str, Any]]:
    return [
        {
            "name": f"{batch.stage.name}-{index}",
            "stage": batch.stage.name,
            "kind": batch.stage.kind,
            "device": batch.stage.jobs[index][0].settings.device,
            "titles": [cell.title for cell in batch.stage.jobs[index]],
            "cells": [cell.id for cell in batch.stage.jobs[index]],
            "needs": [need for cell in batch.stage.jobs[index] for need in cell.needs],
            "creates": [str(prepared.run / "cells" / cell.id / "SHA256SUMS") for cell in batch.stage.jobs[index]],
            "forecasts": [forecast(cell).model_dump(mode="json") for cell in batch.stage.jobs[index]],
            "resources": {
                "cpus": batch.cpus,
                "gpus": batch.gpus,
                "memory_bytes": batch.resources.memory,
                "custom": dict(batch.resources.custom),
                "whole_node": batch.resources.alone,
            },
            "command": [*options.words, "cell", str(prepared.run),
                        *(word for cell in batch.stage.jobs[index] for word in ("--id", cell.id))],
        }
        for index in batch.indexes
    ]  # fmt: skip
