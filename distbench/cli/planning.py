"""`plan`: what would run, and what is there already."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.table import Table

from distbench.cli.output import out, print_json
from distbench.cli.running import Request
from distbench.execute.run import reusable
from distbench.plan.expand import Plan, expand
from distbench.plan.studies import studies_of
from distbench.store.cache import Cache
from distbench.store.run_dir import RunDir
from distbench.suite.grid_names import value_words


def show_plan(request: Request, out_dir: Path | None, *, as_json: bool) -> None:
    """Print every cell with its status: done in RUN, cached, or to run."""
    loaded = request.load()
    plan = expand(loaded.suite, loaded.directory, request.device, request.trusted or ())
    run = RunDir(out_dir) if out_dir is not None and (out_dir / "manifest.json").is_file() else None
    done, cached = reusable(plan.cells, run, Cache())

    def status(cell_id: str) -> str:
        return "done" if cell_id in done else "cached" if cell_id in cached else "to run"

    rows = [
        {"id": c.id, "kind": c.kind, "title": c.title, "status": status(c.id), "needs": c.needs} for c in plan.cells
    ]
    if as_json:
        settings = plan.chosen.settings.model_dump() | {"device_reason": plan.chosen.reason}
        studies = [asdict(study) for study in studies_of(plan.models)]
        print_json({"suite": plan.suite.name, "settings": settings, "studies": studies, "cells": rows})
        return
    table = Table(title=None, box=None, pad_edge=False)
    for name in ("cell", "kind", "what", "status"):
        table.add_column(name)
    for row in rows:
        table.add_row(str(row["id"]), str(row["kind"]), str(row["title"]), str(row["status"]))
    console = out()
    console.print(f"{plan.suite.name}: {len(rows)} cells, {len(done)} done, {len(cached)} cached, "
                  f"{len(rows) - len(done) - len(cached)} to run; {plan.chosen.settings.device} "
        f"({plan.chosen.reason}), "
                  f"{plan.chosen.settings.dtype}, {plan.chosen.settings.threads} threads", markup=False)  # fmt: skip
    for line in _study_lines(plan):
        console.print(line, markup=False)
    console.print(table)


def _study_lines(plan: Plan) -> list[str]:
    """Return one line a study: how many students, and what differs between them."""
    lines = []
    for study in studies_of(plan.models):
        axes = " × ".join(f"{name} {', '.join(map(value_words, values))}" for name, values in study.axes.items())
        lines.append(f"study {study.name}: {study.students} students ({axes})")
    seeded = [model.name for model in plan.models if model.seed is not None and model.role == "student"]
    if further := [name for name in seeded if "@" in name]:
        lines.append(f"{len(seeded) - len(further)} students are trained with several seeds: {len(seeded)} trainings")
    return lines
