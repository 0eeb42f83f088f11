"""Which lists in a student's steps are grids, and not values: the plug-in's own options decide."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, ValidationError

from distbench import plugins
from distbench.errors import DistbenchError
from distbench.schema.strict import Use
from distbench.schema.suite import DistilSpec
from distbench.schema.wording import KeyPath
from distbench.suite.uses import mapping, sequence

MOST_POINTS = 64
_OWN_LISTS = {"use", "control", "seeds"}  # a list of these means something of its own


@dataclass(frozen=True)
class Step:
    """A step of a student that takes options: where it stands, who reads it, and what a choice of it is called."""

    path: KeyPath
    group: str
    spec: type[BaseModel]
    choice: str


STEPS = (
    Step(("init",), "inits", Use, "init"),
    Step(("distil",), "methods", DistilSpec, "method"),
    Step(("distil", "data"), "data", Use, "data"),
    Step(("quantise",), "quantisers", Use, "quantiser"),
)


@dataclass(frozen=True)
class Axis:
    """One list of a grid. `path` leads to it from the student; `name` is what studies call it."""

    name: str
    path: KeyPath
    values: list[Any]


def step_at(student: dict[str, Any], step: Step) -> dict[str, Any]:
    """Return the mapping of a step, empty where the student does not have it."""
    found: Any = student
    for key in step.path:
        found = mapping(found).get(str(key))
    return mapping(found)


def axes_of(student: dict[str, Any]) -> list[Axis]:
    """Return every grid list of a student, in a fixed order; a name that two of them share gets its step before it."""
    found = [axis for step in STEPS for axis in _of_step(step, step_at(student, step))]
    names = [axis.name for axis in found]
    return [
        replace(axis, name=".".join(map(str, axis.path[-2:]))) if names.count(axis.name) > 1 else axis for axis in found
    ]


def known_options(step: Step, name: Any) -> set[str] | None:
    """Return the options of a plug-in; None where nobody can tell: it is unknown, or cannot be loaded."""
    model = _options(step, name)
    return None if model is None else _keys(model)


def _of_step(step: Step, given: dict[str, Any]) -> Iterator[Axis]:
    uses = sequence(given.get("use"))
    if uses and all(isinstance(each, str) for each in uses):
        yield Axis(step.choice, (*step.path, "use"), uses)
    models = [model for each in uses or [given.get("use")] if (model := _options(step, each)) is not None]
    for key, value in given.items():
        if key in _OWN_LISTS or not isinstance(key, str) or not isinstance(value, list) or not value:
            continue
        owners = [step.spec] if key in step.spec.model_fields else [each for each in models if key in _keys(each)]
        if any(_is_grid(owner, key, value) for owner in owners):
            yield Axis(key, (*step.path, key), value)


def _keys(model: type[BaseModel]) -> set[str]:
    """Return what options are called in a suite file."""
    return {field.alias or name for name, field in model.model_fields.items()}


def _options(step: Step, name: Any) -> type[BaseModel] | None:
    if not isinstance(name, str) or not plugins.known(step.group, name):
        return None
    try:
        return plugins.options_type(step.group, name)
    except DistbenchError:  # reported where the plug-in is chosen
        return None


def _is_grid(model: type[BaseModel], key: str, values: list[Any]) -> bool:
    """Say whether a list is no value of an option, but a list of its values.

    A list that is valid as it stands never is. Where the option takes lists (then a wrong one fails inside), a grid is
    a list of lists, of which one at least is right; where it takes none, every list is a grid.
    """
    whole = _errors(model, key, values)
    if any(isinstance(place, int) for where in whole for place in where):
        lists = [value for value in values[: MOST_POINTS + 1] if isinstance(value, list)]
        return any(not _errors(model, key, value) for value in lists)
    return bool(whole)


def _errors(model: type[BaseModel], key: str, value: Any) -> list[tuple[int | str, ...]]:
    """Return where, inside the value, the option refuses it; what other options lack is not asked."""
    try:
        model.model_validate_json(json.dumps({key: value}))
    except ValidationError as error:
        return [each["loc"][1:] for each in error.errors(include_url=False) if each["loc"][:1] == (key,)]
    return []
