"""Where each lm-eval task is defined, found without importing lm-eval.

Reading 14,000 small files takes half a second, so the names are kept in the cache; a definition is always read afresh.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import json
import os
import re
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from distbench.errors import DistbenchError, EnvironmentFault, UsageError, nearest
from distbench.hashing import text_digest
from distbench.host import cache_dir
from distbench.store.files import write_text

NAMED = re.compile(rb"^[\"']?(task|group)[\"']?:[ \t]*[\"']?([^\s\"'#\[]+)", re.MULTILINE)
INCLUDES = re.compile(rb"^[\"']?include[\"']?:[ \t]*[\"']?([^\s\"'#\[]+)", re.MULTILINE)
# A tag is a group that its members name: "tag: a", "tag: [a, b]" or a block list.
TAGGED = re.compile(
    rb"^[\"']?tag[\"']?:[ \t]*(?:\[([^\]\n]*)\]|([^\s#\[][^\n#]*))?((?:\n[ \t]*-[^\n]+)*)", re.MULTILINE
)
PACKAGE = Path(__file__).resolve().parent.parent
MAX_DEPTH = 8


class Index(NamedTuple):
    """What a set of folders defines: {name: file} of tasks and of groups, {tag: names of its tasks}."""

    tasks: dict[str, Path]
    groups: dict[str, Path]
    tags: dict[str, list[str]]

    def names(self) -> list[str]:
        """Return every name that a suite may use."""
        return [*self.tasks, *self.groups, *self.tags]


def bundled_tasks() -> Path | None:
    """Return the folder of the tasks that ship with distbench: inside the wheel, or `suites/tasks` of a checkout."""
    for folder in (PACKAGE / "bundled_suites" / "tasks", PACKAGE.parent / "suites" / "tasks"):
        if folder.is_dir():
            return folder
    return None


@functools.cache
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
def index_of(folder: Path | None = None) -> Index:
    """Return what a user's task folder defines, or without one the stock and the bundled tasks."""
    if folder is not None:
        return _walk(folder)
    index, own = _stock(), bundled_tasks()
    if own is None:
        return index
    more = _walk(own)
    return Index(more.tasks | index.tasks, more.groups | index.groups, more.tags | index.tags)


def _stock() -> Index:
    """Return what the installed lm-eval defines: from a file of the cache, so that only its first use reads it all.

    Only names and places are kept, never a definition; a place that is gone means that the package has changed.
    """
    folder = _stock_folder()
    file = cache_dir() / "lm-eval-index" / f"{lm_eval_version()}-{text_digest([str(folder)])[:16]}.json"
    try:
        kept = json.loads(file.read_text(encoding="utf-8"))
        tasks, groups = ({name: folder / path for name, path in kept[kind].items()} for kind in ("tasks", "groups"))
        index = Index(tasks, groups, kept["tags"])
        if index.tasks and all(next(iter(part.values())).is_file() for part in (index.tasks, index.groups)):
            return index
    except (OSError, ValueError, KeyError, TypeError, AttributeError, StopIteration):
        pass  # no such file yet, or no longer what was written: it is made again
    index = _walk(folder)
    places = [{name: str(path.relative_to(folder)) for name, path in part.items()} for part in index[:2]]
    with contextlib.suppress(OSError, DistbenchError):  # a cache that cannot be written costs half a second a start
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, json.dumps({"tasks": places[0], "groups": places[1], "tags": index.tags}))
    return index


def _walk(folder: Path) -> Index:
    index = Index({}, {}, {})
    for place, _, names in os.walk(folder):
        for name in sorted(names):
            if name.endswith(".yaml"):
                _read(Path(place) / name, index)
    return index


def _read(path: Path, index: Index) -> None:
    text = path.read_bytes()
    for kind, word in NAMED.findall(text):
        name = word.decode("utf-8", "replace")
        (index.tasks if kind == b"task" else index.groups).setdefault(name, path)
        if kind == b"task":
            for tag in _tags(path, text):
                index.tags.setdefault(tag, []).append(name)


def _tags(path: Path, text: bytes, depth: int = MAX_DEPTH) -> list[str]:
    """Return a task file's tags; like every other field they come from its `include:` where it has none itself."""
    found = TAGGED.search(text)
    if found is None:
        below = INCLUDES.search(text)
        file = path.parent / below[1].decode("utf-8", "replace") if below else None
        return list(_included_tags(file, depth - 1)) if file is not None and depth and file.is_file() else []
    flow, single, block = (part or b"" for part in found.groups())
    words = [*flow.split(b","), single, *(line.strip().removeprefix(b"-") for line in block.splitlines())]
    return [word.strip().strip(b"\"'").decode("utf-8", "replace") for word in words if word.strip()]


@functools.cache
def _included_tags(path: Path, depth: int) -> tuple[str, ...]:
    return tuple(_tags(path, path.read_bytes(), depth))


def find_task(name: str, folder: Path | None = None) -> Path:
    """Return the YAML file that defines a task. Raises UsageError for an unknown name, with the nearest three."""
    index = index_of(folder)
    if name in index.tasks and not index.tasks[name].is_file():
        raise EnvironmentFault(
            f"{index.tasks[name]} is gone: lm-eval has changed; delete {cache_dir() / 'lm-eval-index'}"
        )
    if name not in index.tasks:
        near = nearest(name, index.names())
        hint = f"; nearest: {', '.join(near)}" if near else ""
        raise UsageError(f"unknown lm-eval task {name!r}{hint}")
    return index.tasks[name]


def members(name: str, folder: Path | None = None, depth: int = MAX_DEPTH) -> list[str]:
    """Return the tasks that a name stands for: itself, or those of a group or tag, nested ones included.

    Raises UsageError for an unknown name, and for a group whose entries change their tasks (lm-eval allows that; here a
    task has one definition).
    """
    index = index_of(folder)
    if name in index.tasks:
        return [name]
    if name in index.tags and name not in index.groups:
        return sorted(index.tags[name])
    if name not in index.groups or not depth:
        find_task(name, folder)
        raise UsageError(f"lm-eval group {name!r} is nested too deeply")
    found: dict[str, None] = {}
    for entry in _entries(index.groups[name], name):
        found |= dict.fromkeys(members(entry, folder, depth - 1))
    return list(found)


def _entries(path: Path, name: str) -> list[str]:
    raw = stock_fields(path).get("task") or []
    entries: list[str] = []
    for entry in [raw] if isinstance(raw, str) else raw:
        if isinstance(entry, str):
            entries.append(entry)
        elif isinstance(entry, dict) and set(entry) == {"task"} and isinstance(entry["task"], str):
            entries.append(entry["task"])
        elif isinstance(entry, dict) and isinstance(entry.get("task"), list) and "group" in entry:
            if not all(isinstance(each, str) for each in entry["task"]):
                raise UsageError(f"lm-eval group {name!r} redefines its tasks; name its tasks one by one")
            entries += entry["task"]
        else:
            raise UsageError(f"lm-eval group {name!r} redefines its tasks; name its tasks one by one")
    return entries


class _Fields(yaml.SafeLoader):
    """Reads a task file's plain fields; `!function` values become None: nothing is imported or called."""


_Fields.add_multi_constructor("!", lambda loader, suffix, node: None)


def stock_fields(path: Path, depth: int = MAX_DEPTH) -> dict[str, Any]:
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
