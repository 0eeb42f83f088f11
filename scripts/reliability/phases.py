"""What a run is doing at a moment, seen from outside: its processes and its files."""

from __future__ import annotations

import contextlib
from pathlib import Path

from evidence import document


def workers_of(parent: int) -> list[int]:
    """Return the workers of a command: its children that lead a session of their own."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()  # state, ppid, pgrp, session, …
            if int(fields[1]) == parent and fields[3] == process.name and fields[0] != "Z":
                found.append(int(process.name))
    return found


def phase_of(run: Path, cache: Path, workers: list[int]) -> str:
    """Return in words what is being done."""
    if not (run / "manifest.json").exists():
        return "starting, planning" if not (run / "plan").exists() else "writing the plan"
    if workers:
        at_work = sorted((run / "cells").glob(".tmp-*"))
        return _cell(run, cache, at_work[0].name) if at_work else "a worker starts, or is between two cells"
    planned = {each["id"] for each in document(run / "manifest.json").get("cells", [{"id": "unknown"}])}
    if planned <= {p.name for p in (run / "cells").glob("*")}:
        return "comparing, writing result and report"
    return "between cells"


def _cell(run: Path, cache: Path, name: str) -> str:
    """Return what is done for a cell whose folder exists and is not finished."""
    cell_id = name.removeprefix(".tmp-").partition(".")[0]
    kind = document(run / "plan" / f"{cell_id}.json").get("kind", "unknown")
    if kind != "make":
        return {"evaluate": "evaluating", "measure": "measuring"}.get(kind, "between cells")
    if (run / "cells" / name / "record.json").exists():
        return "sealing a model"
    if any(cache.glob("v1/signals/.tmp-*")):
        return "recording the teacher"
    if any((run / "scratch" / cell_id).glob("checkpoint-*")):
        return "training, with a checkpoint"
    return "making a model, no checkpoint yet"
