"""`plan`: what would run, what is there already, what it needs, and whether that fits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from distbench.cli.output import err, out
from distbench.cli.planning_text import show_outlook
from distbench.cli.running import Request
from distbench.errors import ExitCode
from distbench.execute.run import reusable
from distbench.plan.estimates.history import read_history
from distbench.plan.estimates.machine import this_machine
from distbench.plan.expand import Plan, expand
from distbench.plan.outlook import Outlook, look_ahead
from distbench.plan.studies import studies_of
from distbench.plan.totals import Total, totals_of
from distbench.store.cache import Cache
from distbench.store.run_dir import RunDir


@dataclass(frozen=True)
class Status:
    """Which cells are finished in the run, and which the cache can give."""

    done: set[str]
    cached: set[str]

    def of(self, cell_id: str) -> str:
        """Return a cell's status in words."""
        return "done" if cell_id in self.done else "cached" if cell_id in self.cached else "to run"


def show_plan(request: Request, out_dir: Path | None, *, as_json: bool, whole: bool = False) -> ExitCode:
    """Print the plan; exit 5 where something surely does not fit."""
    horizon = request.ahead
    limit = horizon.max_seconds  # a wrong one is said before anything is read
    loaded = request.load()
    plan = expand(loaded.suite, loaded.directory, request.device, request.trusted or ())
    run = RunDir(out_dir) if out_dir is not None and (out_dir / "manifest.json").is_file() else None
    cache = Cache()
    status = Status(*reusable(plan.cells, run, cache))
    rows = read_history(cache, [*horizon.history, *([out_dir] if run is not None and out_dir else [])])
    if horizon.probe_seconds is not None:
        from distbench.cli.probing import probe

        rows = [*rows, *probe(plan, horizon.probe_seconds, cache)]
    machine = this_machine(out_dir or Path("runs"), cache)
    places = [cache.root / "cells", *([run.cells] if run is not None else [])]
    outlook = look_ahead(plan, status.done | status.cached, rows, machine, limit, places)
    totals = totals_of(plan, outlook, status.done, status.cached)
    if as_json:
        text = to_json(_document(plan, status, outlook, totals, limit), indent=2)  # json takes seconds for so many
        sys.stdout.write(text.decode() + "\n")
    else:
        show_outlook(out(), plan, outlook, totals, status.of, limit, whole=whole)
    if outlook.misfits:
        err().print(f"distbench: error[E005] {outlook.misfits[0]}", markup=False, soft_wrap=True)
        return ExitCode.ENVIRONMENT
    return ExitCode.OK


def _document(
    plan: Plan, status: Status, outlook: Outlook, totals: Sequence[Total], limit: float | None
) -> dict[str, Any]:
    place = {cell_id: n for n, cell_id in enumerate(i for bundle in outlook.order for i in bundle.cells)}
    cells = []
    for cell in plan.cells:
        needs = outlook.forecasts.get(cell.id)
        row: dict[str, Any] = {
            "id": cell.id, "kind": cell.kind, "title": cell.title, "status": status.of(cell.id), "needs": cell.needs,
            "device": cell.settings.device, "elsewhere": plan.elsewhere.get(cell.id),
            "forecast": needs,
        }  # fmt: skip
        if limit is not None:
            row |= {"place": place.get(cell.id), "left_out": cell.id in outlook.left_out_cells}
        cells.append(row)
    return {
        "suite": plan.suite.name,
        "settings": plan.chosen.settings.model_dump() | {"device_reason": plan.chosen.reason},
        "studies": [asdict(study) for study in studies_of(plan.models)],
        "max_seconds": limit,
        "totals": [asdict(total) for total in totals],
        "machine": asdict(outlook.machine),
        "allowed": {m.name: m.ref.trusted.model_dump() for m in plan.models if m.ref.trusted is not None},
        "does_not_fit": outlook.misfits,
        "may_not_fit": outlook.doubts,
        "cells": cells,
    }
