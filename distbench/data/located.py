"""Paths among a data source's options: they start at the suite's folder, and say nothing about what the data are.

A source names them in `paths`; its `identity` hashes what lies there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.schema.strict import Use


def located(data: Use, directory: Path) -> Use:
    """Return the options with absolute paths. A value is a path, a list of them, or a mapping to them."""
    found = {name: _absolute(data.options[name], directory) for name in _paths(data)}
    return Use(**{"use": data.use, **data.options, **found}) if found else data


def without_paths(data: Use) -> Use:
    """Return what of the options decides the data: everything but where files lie."""
    named = _paths(data)
    return Use(use=data.use, **{k: v for k, v in data.options.items() if k not in named}) if named else data


def _paths(data: Use) -> frozenset[str]:
    named: frozenset[str] = getattr(plugins.load("data", data.use), "paths", frozenset())
    return named & data.options.keys()


def _absolute(value: Any, directory: Path) -> Any:
    if isinstance(value, dict):
        return {key: _absolute(each, directory) for key, each in value.items()}
    if isinstance(value, list):
        return [_absolute(each, directory) for each in value]
    if not isinstance(value, str):
        return value
    path = Path(value).expanduser()
    return str((path if path.is_absolute() else directory / path).absolute())
