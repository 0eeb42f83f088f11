"""Where each lm-eval task is defined, found without importing lm-eval: reading 14,000 small files takes 0.3 s."""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from importlib import metadata
from pathlib import Path
from typing import Any

import yaml

from distbench.errors import EnvironmentFault, UsageError, nearest

NAMED = re.compile(rb"^(task|group):[ \t]*[\"']?([^\s\"'#\[]+)", re.MULTILINE)
PACKAGE = Path(__file__).resolve().parent.parent


def bundled_tasks() -> Path | None:
    """Return the folder of the tasks that ship with distbench: inside the wheel, or `suites/tasks` of a checkout."""
    for folder in (PACKAGE / "bundled_suites" / "tasks", PACKAGE.parent / "suites" / "tasks"):
        if folder.is_dir():
            return folder
    return None


def lm_eval_version() -> str:
    """Return the installed lm-eval's version."""
    try:
        return metadata.version("lm-eval")
    except metadata.PackageNotFoundError:
        raise EnvironmentFault("lm-eval is not installed: pip install lm-eval") from None


def _stock_folder() -> Path:
    spec = importlib.util.find_spec("lm_eval")
    if spec is None or not spec.submodule_search_locations:
        raise EnvironmentFault("lm-eval is not installed: pip install lm-eval")
    return Path(next(iter(spec.submodule_search_locations))) / "tasks"


@functools.cache
def task_files() -> dict[str, tuple[str, Path]]:
    """Return {name: ("task" or "group", file)} of every stock and bundled task."""
    found: dict[str, tuple[str, Path]] = {}
    for root in (_stock_folder(), bundled_tasks()):
        if root is None:
            continue
        for folder, _, names in os.walk(root):
            for name in names:
                if name.endswith(".yaml"):
                    path = Path(folder) / name
                    for kind, word in NAMED.findall(path.read_bytes()):
                        found.setdefault(word.decode("utf-8", "replace"), (kind.decode(), path))
    return found


def find_task(name: str) -> Path:
    """Return the YAML file that defines a task.

    Raises UsageError for an unknown name (with the nearest three) and for a group.
    """
    index = task_files()
    if name not in index:
        near = nearest(name, index)
        hint = f"; nearest: {', '.join(near)}" if near else ""
        raise UsageError(f"unknown lm-eval task {name!r}{hint}")
    kind, path = index[name]
    if kind == "group":
        raise UsageError(f"{name!r} is a group of lm-eval tasks; name its tasks one by one")
    return path


class _Fields(yaml.SafeLoader):
    """Reads a task file's plain fields; `!function` values become None: nothing is imported or called."""


_Fields.add_multi_constructor("!", lambda loader, suffix, node: None)


def stock_fields(path: Path, depth: int = 8) -> dict[str, Any]:
    """Return the fields of a task file with its `include:` files underneath."""
    fields = yaml.load(path.read_bytes(), Loader=_Fields)  # noqa: S506 - a SafeLoader
    if not isinstance(fields, dict):
        return {}
    included = fields.pop("include", None)
    below: dict[str, Any] = {}
    for name in [included] if isinstance(included, str) else included or []:
        if depth and (path.parent / name).is_file():
            below |= stock_fields(path.parent / name, depth - 1)
    return below | fields
