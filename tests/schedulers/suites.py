"""A suite of small trees: no torch, and cells that need one another."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

DATA = {"use": "sklearn-digits"}
SUITE: dict[str, Any] = {
    "version": 1,
    "name": "trees",
    "device": "cpu",
    "threads": 1,
    "teachers": {"deep": {"use": "decision-tree", "max_depth": 12, "fit": {"use": "hard-labels", "data": DATA}}},
    "students": [
        {
            "name": name, "of": "deep", "init": {"use": "decision-tree", "max_depth": depth},
            "distil": {"use": "soft-labels", "data": DATA, "control": "none"},
        }
        for name, depth in (("shallow", 4), ("middle", 7))
    ],
    "tasks": [{"use": "classification", "name": "digits", "data": DATA}],
    "gate": {"retained": 0.5, "task_floor": 0.5},
}  # fmt: skip
MEASURED = SUITE | {"measure": {"latency": {"batch_sizes": [1], "rounds": 2, "launches": 1, "max_launches": 1}}}


def write(folder: Path, suite: dict[str, Any] | None = None) -> Path:
    """Write the suite file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "suite.yaml"
    file.write_text(json.dumps(suite or SUITE), encoding="utf-8")
    return file
