"""A list where an option takes one value makes a student for each value: the product of all such lists."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from distbench.errors import UsageError
from distbench.schema.wording import KeyPath, describe, harmless, shorten
from distbench.suite.grid_axes import MOST_POINTS, STEPS, Axis, axes_of, known_options, step_at
from distbench.suite.grid_names import label_of, name_of
from distbench.suite.uses import mapping, sequence
from distbench.suite.yaml_source import Source

Value = TypeVar("Value")
Origin = Callable[[KeyPath], KeyPath]


@dataclass(frozen=True)
class _Point:
    """A student of the expanded suite: the entry it came from, and which value of each axis it got."""

    index: int
    chosen: tuple[tuple[Axis, int], ...] = ()

    def origin(self, rest: KeyPath) -> KeyPath:
        """Return where a value of this student stands in the file; `rest` leads to it from the student."""
        for axis, number in self.chosen:
            if rest[: len(axis.path)] == axis.path:
                rest = (*axis.path, number, *rest[len(axis.path) :])
        return ("students", self.index, *rest)


class _Moved(Mapping[KeyPath, Value]):
    """A mapping by path of the file, asked by path of the expanded tree."""

    def __init__(self, inner: Mapping[KeyPath, Value], origin: Origin) -> None:
        self.inner, self.origin = inner, origin

    def __getitem__(self, path: KeyPath) -> Value:
        there = self.origin(path)
        # a list that came from --set has one position, its entries have none
        shorter = there[:-1] if there not in self.inner and len(there) > len(path) else there
        return self.inner[shorter]

    def __iter__(self) -> Iterator[KeyPath]:
        return iter(self.inner)

    def __len__(self) -> int:
        return len(self.inner)


def expanded(source: Source) -> tuple[Source, Origin]:
    """Return the source with every grid expanded, and where each of its paths stands in the file.

    Positions stay those of the file: the position of a value that a grid chose is that of the list's entry. The tree
    need not be valid. Raises UsageError for a grid of more than `MOST_POINTS` students, and for a value that is there
    twice.
    """
    given = mapping(source.tree).get("students")
    students: list[Any] = []
    points: list[_Point] = []
    for index, student in enumerate(sequence(given)):
        axes = axes_of(student) if isinstance(student, dict) else []
        if not axes:
            students.append(student)
            points.append(_Point(index))
            continue
        _check(source, index, student, axes)
        for point, made in _students(index, student, axes):
            students.append(made)
            points.append(point)
    if len(points) == len(sequence(given)) and not any(point.chosen for point in points):
        return source, lambda path: path

    def origin(path: KeyPath) -> KeyPath:
        here = path[1] if len(path) > 1 and path[0] == "students" else None
        return points[here].origin(path[2:]) if isinstance(here, int) and here < len(points) else path

    moved = replace(
        source,
        tree={**source.tree, "students": students},
        positions=_Moved(source.positions, origin),
        key_positions=_Moved(source.key_positions, lambda path: _of_key(origin, path)),
        plain=_Moved(source.plain, origin),
    )
    return moved, origin


def _of_key(origin: Origin, path: KeyPath) -> KeyPath:
    """Return where the key of a value stands: the key of a grid is that of its list."""
    return (*origin(path[:-1]), path[-1]) if path else path


def _check(source: Source, index: int, student: dict[str, Any], axes: Sequence[Axis]) -> None:
    number = math.prod(len(axis.values) for axis in axes)
    if number > MOST_POINTS:
        sizes = " × ".join(f"{len(axis.values)} {axis.name}" for axis in axes)
        text = f"student {shorten(str(student.get('name')))!r} is a grid of {number} students ({harmless(sizes)}); at "
        raise UsageError(f"{text}most {MOST_POINTS} are allowed", at=source.key_position(("students", index)))
    for axis in axes:
        seen: set[str] = set()
        for place, value in enumerate(axis.values):
            text = json.dumps(value, sort_keys=True)
            if text in seen:
                at = source.position(("students", index, *axis.path, place))
                raise UsageError(f"the grid of {axis.name} has the value {describe(value)} twice", at=at)
            seen.add(text)


def _students(index: int, student: dict[str, Any], axes: Sequence[Axis]) -> Iterator[tuple[_Point, dict[str, Any]]]:
    """Yield each point of a grid once: an option that a chosen plug-in does not have makes no further student."""
    seen: set[str] = set()
    for numbers in itertools.product(*(range(len(axis.values)) for axis in axes)):
        chosen = tuple(zip(axes, numbers, strict=True))
        made = dict(student)
        for axis, number in chosen:
            made = _put(made, axis.path, axis.values[number])
        made, dropped = _without_foreign(made, student)
        point = [(axis, axis.values[number]) for axis, number in chosen if axis.path not in dropped]
        coordinates = {axis.name: value for axis, value in point}
        if (key := json.dumps(coordinates, sort_keys=True)) in seen:
            continue
        seen.add(key)
        yield _Point(index, chosen), _named(made, student, point, coordinates)


def _without_foreign(made: dict[str, Any], student: dict[str, Any]) -> tuple[dict[str, Any], set[KeyPath]]:
    """Leave out options that only another of the listed plug-ins has; one that none of them has stays, and is wrong."""
    dropped: set[KeyPath] = set()
    for step in STEPS:
        listed = step_at(student, step).get("use")
        if not isinstance(listed, list):
            continue
        known = {name: known_options(step, name) for name in listed if isinstance(name, str)}
        chosen = step_at(made, step).get("use")
        mine = known.get(chosen) if isinstance(chosen, str) else None
        others = set().union(*(options for options in known.values() if options is not None))
        for key in step_at(made, step):
            if mine is not None and key in others - mine - set(step.spec.model_fields):
                dropped.add((*step.path, key))
    for path in dropped:
        made = _put(made, path, None, drop=True)
    return made, dropped


def _put(tree: dict[str, Any], path: KeyPath, value: Any, *, drop: bool = False) -> dict[str, Any]:
    """Return the tree with another value at a path, or without it; what lies beside the path is shared."""
    key, *rest = path
    if rest:
        return {**tree, str(key): _put(tree[str(key)], tuple(rest), value, drop=drop)}
    return {each: old for each, old in tree.items() if each != key} if drop else {**tree, str(key): value}


def _named(
    made: dict[str, Any],
    student: dict[str, Any],
    point: Sequence[tuple[Axis, Any]],
    coordinates: Mapping[str, Any],
) -> dict[str, Any]:
    """Give a student of a grid its name, its label and its place in the study."""
    name = student.get("name")
    if not isinstance(name, str):
        return made
    label, study = student.get("label"), student.get("study")
    named: dict[str, Any] = {
        "name": name_of(name, point),
        "label": label_of(label if isinstance(label, str) else name, point),
    }
    if study is None:
        named["study"] = {"name": name, "at": dict(coordinates)}
    elif isinstance(study, dict) and isinstance(study.get("at"), dict):  # any other is wrong, and is reported as it is
        named["study"] = {"name": name, **study, "at": {**study["at"], **coordinates}}
    return {**made, **named}
