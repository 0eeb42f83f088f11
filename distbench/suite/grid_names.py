"""What the students of a grid are called: names that say what differs, the same whatever else the suite holds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from distbench.hashing import short_digest
from distbench.suite.grid_axes import Axis

_LONGEST_NAME, _LONGEST_LABEL, _DIGITS = 64, 200, 6
Coordinate = tuple[Axis, Any]


def name_of(student: str, point: Sequence[Coordinate]) -> str:
    """Return the name of a student at a point of its grid: `kd-temperature2-labelled107`, `kd-soft-labels`.

    One that would be too long keeps its beginning, and ends in a hash of all of it.
    """
    parts = [student, *(_part(axis, value) for axis, value in point)]
    whole = re.sub(r"[^A-Za-z0-9._+-]+", "-", "-".join(parts)).rstrip("-")
    if len(whole) <= _LONGEST_NAME:
        return whole
    return f"{whole[: _LONGEST_NAME - _DIGITS - 1].rstrip('.-_')}-{short_digest(whole)[:_DIGITS]}"


def label_of(label: str, point: Sequence[Coordinate]) -> str:
    """Return the label: what stands there already, and every value."""
    whole = ", ".join([label, *(_words(axis, value) for axis, value in point)])
    return whole if len(whole) <= _LONGEST_LABEL else whole[: _LONGEST_LABEL - 1] + "…"


def value_words(value: Any) -> str:
    """Return a value in a few characters; null leaves the plug-in's default."""
    if value is None or isinstance(value, bool):
        return {None: "default", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        rest = [f"{key} {value_words(each)}" for key, each in value.items() if key != "use"]
        return " ".join([*([str(value["use"])] if "use" in value else []), *rest])
    if isinstance(value, list):
        return "×".join(value_words(each) for each in value) or "none"
    return str(value)


def _part(axis: Axis, value: Any) -> str:
    if axis.path[-1] == "use":
        return str(value)
    text = value_words(value).replace("×", "x")
    return f"{axis.name}{text}" if text[:1].isdigit() else f"{axis.name}-{text}"


def _words(axis: Axis, value: Any) -> str:
    text = value_words(value)
    return text if axis.path[-1] == "use" else f"{axis.name.replace('_', ' ')} {text}"
