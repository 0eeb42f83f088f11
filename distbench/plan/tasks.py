"""From the tasks that a suite names to the tasks that are asked: found, expanded, and their code trusted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from distbench import plugins
from distbench.errors import RefusedError, UsageError
from distbench.schema.suite import Part, Suite, TaskSpec


def resolve_tasks(suite: Suite, directory: Path, trusted: Sequence[Path]) -> list[TaskSpec]:
    """Return every task of a suite; a group's tasks in its place.

    Raises UsageError where a task is named twice, RefusedError where one would run code that is not trusted.
    """
    sequential = suite.gate is not None and suite.gate.sequential
    found: dict[str, TaskSpec] = {}
    for spec in suite.tasks:
        kind = plugins.load("tasks", spec.use)
        _check_trust(spec, kind, directory, trusted)
        resolved = kind.resolve(spec, directory)
        for task in resolved if isinstance(resolved, list) else [resolved]:
            if task.title in found:
                raise UsageError(f"task {task.title!r} is named twice: by {found[task.title].group or 'itself'!r} and "
                                 f"{task.group or 'itself'!r}")  # fmt: skip
            grows = sequential and getattr(kind, "grows", False)
            found[task.title] = task.model_copy(update={"part": Part()}) if grows else task
    return list(found.values())


def _check_trust(spec: TaskSpec, kind: type, directory: Path, trusted: Sequence[Path]) -> None:
    """Refuse foreign code: a suite file cannot vouch for the code that it names, only the command line can."""
    code = getattr(kind, "foreign_code", None)
    path = code(spec, directory) if code else None
    if path is not None and path not in [folder.expanduser().resolve() for folder in trusted]:
        raise RefusedError(
            f"task {spec.title!r}: task files in {path} can run any code (!function); allow it with "
            f"--trust-task-code {path}"
        )
