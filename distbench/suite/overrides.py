"""`--set a.b=value`: changes to the tree of a suite before it is validated."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from distbench.errors import DistbenchError, Position, UsageError, did_you_mean
from distbench.schema.wording import KeyPath, describe, harmless, shorten
from distbench.suite.yaml_source import Source, parse_text
from distbench.suite.yaml_tree import MAX_DEPTH


def apply(source: Source, overrides: Sequence[str]) -> Source:
    """Return the source with every override applied, in order; what is overridden stands at `--set …`."""
    for override in overrides:
        source = _apply_one(source, override)
    return source


def _apply_one(source: Source, override: str) -> Source:
    at = Position(f"--set {harmless(override)}")
    dotted, equals, text = override.partition("=")
    parts = dotted.strip().split(".")
    if not equals or not all(parts):
        raise UsageError("expected PATH=VALUE, for example --set gate.retained=0.9", at=at)
    try:
        value = parse_text(text, at.file)
    except DistbenchError as error:  # a line and column inside the flag would look like those of the file
        raise type(error)(error.message, at=at) from None
    tree = copy.deepcopy(source.tree)
    path = _put(tree, parts, value.tree, at)
    if len(path) + max(map(len, value.positions), default=0) > MAX_DEPTH:
        raise UsageError(f"nested deeper than {MAX_DEPTH} levels", at=at)
    kept = {where: each for where, each in source.positions.items() if where[: len(path)] != path}
    plain = {where: each for where, each in source.plain.items() if where[: len(path)] != path}
    keys = {where: each for where, each in source.key_positions.items() if where[: len(path)] != path}
    created = {path[: index + 1]: at for index in range(len(path)) if path[: index + 1] not in kept}
    return replace(
        source,
        tree=tree,
        positions=kept | created | {path: at},
        key_positions=keys | created | {path: at},
        plain=plain | {path + where: each for where, each in value.plain.items()},
    )


def _put(tree: Any, parts: list[str], value: Any, at: Position) -> KeyPath:
    """Walk to the last step, make the mappings that are missing on the way, and set the value there."""
    path: KeyPath = ()
    while True:
        step, used = _step(tree, parts, path, at)
        path, parts = (*path, step), parts[used:]
        if not parts:
            tree[step] = value
            return path
        if isinstance(tree, dict) and tree.get(step) is None:
            tree[step] = {}
        tree = tree[step]


def _step(tree: Any, parts: list[str], path: KeyPath, at: Position) -> tuple[str | int, int]:
    """Return the next key or index, and how many parts it takes: a name may itself have dots."""
    if not isinstance(tree, (dict, list)):
        raise UsageError(f"unknown path: {_dotted(path)} is no mapping or list but {describe(tree)}", at=at)
    names: dict[str, str | int] = {key: key for key in tree} if isinstance(tree, dict) else _names(tree)
    for used in range(len(parts), 0, -1):
        if (name := ".".join(parts[:used])) in names:
            return names[name], used
    if isinstance(tree, list):
        return _index(tree, parts[0], path, names, at), 1
    if path == ("teachers",) and len(parts) > 1:  # a key may be new, but not a teacher that has one key only
        raise UsageError(_unknown(parts[0], path, names), at=at)
    return parts[0], 1


def _names(items: list[Any]) -> dict[str, str | int]:
    """Return the index of each named item."""
    named = ((each.get("name"), index) for index, each in reversed(list(enumerate(items))) if isinstance(each, dict))
    return {name: index for name, index in named if isinstance(name, str)}


def _index(items: list[Any], part: str, path: KeyPath, names: Iterable[str], at: Position) -> int:
    if part.isascii() and part.isdigit() and len(part) < 10:
        if int(part) < len(items):
            return int(part)
        raise UsageError(f"unknown path: {_dotted(path)} has {len(items)} entries, the first is 0", at=at)
    raise UsageError(_unknown(part, path, names), at=at)


def _unknown(part: str, path: KeyPath, known: Iterable[str]) -> str:
    return f"unknown path: no {shorten(part)!r} in {_dotted(path)}{did_you_mean(part[:80], known)}"


def _dotted(path: KeyPath) -> str:
    return harmless(".".join(map(str, path))) or "the suite"
