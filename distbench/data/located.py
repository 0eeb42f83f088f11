"""Paths among a plug-in's options: they start at the suite's folder, and say nothing about what is computed.

A plug-in names them in `paths`, with a dot between levels ("calibration.texts"); its `identity` hashes what lies there.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.schema.places import at_home
from distbench.schema.strict import Use


def located(chosen: Use, directory: Path, group: str = "data") -> Use:
    """Return the options with absolute paths. A value is a path, a list of them, or a mapping to them."""
    return _with_paths(chosen, group, lambda value: _absolute(value, directory))


def without_paths(chosen: Use, group: str = "data") -> Use:
    """Return what of the options decides the result: everything but where files lie, which is None."""
    return _with_paths(chosen, group, lambda value: None)


def _with_paths(chosen: Use, group: str, change: Callable[[Any], Any]) -> Use:
    options = chosen.options
    for name in getattr(plugins.load(group, chosen.use), "paths", ()):
        options = _changed(options, name.split("."), change)
    return Use(**{"use": chosen.use, **options})


def _changed(options: dict[str, Any], steps: list[str], change: Callable[[Any], Any]) -> dict[str, Any]:
    first, *rest = steps
    value = options.get(first)
    if value is None or (rest and not isinstance(value, dict)):
        return options
    return options | {first: _changed(value, rest, change) if rest else change(value)}


def _absolute(value: Any, directory: Path) -> Any:
    if isinstance(value, dict):
        return {key: _absolute(each, directory) for key, each in value.items()}
    if isinstance(value, list):
        return [_absolute(each, directory) for each in value]
    if not isinstance(value, str):
        return value
    path = at_home(value)
    return str((path if path.is_absolute() else directory / path).absolute())
