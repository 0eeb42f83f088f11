"""A suite without a file: two models and some lm-eval tasks, straight from the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from distbench.errors import Position, UsageError
from distbench.schema.suite import Suite
from distbench.schema.wording import KeyPath, harmless
from distbench.suite.load import validate
from distbench.suite.yaml_source import Source

_LONGEST_NAME = 48


def suite_from_flags(
    teacher: str,
    students: Sequence[str],
    tasks: Sequence[str] = (),
    *,
    samples: int | None = None,
    device: str = "auto",
    latency: bool = True,
) -> Suite:
    """Return the suite that compares existing causal language models with the usual measurements and gate."""
    if not students:
        raise UsageError("nothing to compare: give at least one --student")
    teacher_name = name_of(teacher, set())
    taken = {teacher_name}
    positions: dict[KeyPath, Position] = {
        ("teachers", teacher_name): Position(f"--teacher {harmless(teacher)}"),
        ("device",): Position(f"--device {harmless(device)}"),
    }
    entries: list[dict[str, Any]] = []
    for index, source in enumerate(students):
        entries.append({"name": name_of(source, taken), "of": teacher_name, "source": source})
        taken.add(entries[-1]["name"])
        positions["students", index] = Position(f"--student {harmless(source)}")
    for index, task in enumerate(tasks):
        positions["tasks", index] = Position(f"--task {harmless(task)}")
        positions["tasks", index, "samples"] = Position(f"--samples {samples}")
    limit = "all" if samples is None else samples
    tree = {
        "version": 1,
        "name": teacher_name,
        "device": device,
        "teachers": {teacher_name: {"use": "hf-causal", "source": teacher}},
        "students": entries,
        "tasks": [{"use": "lm-eval", "name": task, "samples": limit} for task in tasks],
        "measure": {"latency": {}, "memory": {}} if latency else {"memory": {}},
        "gate": {},
    }
    return validate(Source("the command line", "", tree, positions))


def name_of(source: str, taken: set[str]) -> str:
    """Return a short name for a path or hub id that is not in `taken`: `org/Model@main` → `Model`."""
    whole = source if source.startswith(("/", ".", "~")) else source.partition("@")[0]  # without the revision
    last = re.split(r"[/\\:]", whole.rstrip("/\\"))[-1].removesuffix(".gguf")
    name = re.sub(r"[^A-Za-z0-9._+-]+", "-", last).lstrip("._+-")[:_LONGEST_NAME].rstrip("._-") or "model"
    unique, count = name, 1
    while unique in taken:
        count += 1
        unique = f"{name}-{count}"
    return unique
