"""Every place of a suite at which a plug-in is chosen, and what is wrong with the choice."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from distbench import plugins
from distbench.errors import DistbenchError
from distbench.schema.strict import Chooses, Use
from distbench.schema.suite import DistilSpec, FitSpec, TaskSpec, TeacherSpec
from distbench.schema.wording import Document, Fault, KeyPath, faults_of


@dataclass(frozen=True)
class Choice:
    """A plug-in named by a suite.

    `mapping` holds its options, and the keys of `spec`, which are the suite's own; None: it takes no options here.
    """

    group: str
    name: str
    named_at: KeyPath
    path: KeyPath
    mapping: dict[str, Any] | None
    spec: type[BaseModel] | None

    @property
    def common(self) -> tuple[str, ...]:
        """The keys of the mapping that are no options."""
        return tuple(self.spec.model_fields) if self.spec else ()

    @property
    def options(self) -> dict[str, Any]:
        """The keys of the mapping that belong to the plug-in."""
        return {key: value for key, value in (self.mapping or {}).items() if key not in self.common}


def choices(tree: Mapping[str, Any]) -> Iterator[Choice]:
    """Yield every choice of a tree that need not be valid; what has the wrong type is left to the schema."""
    for name, teacher in mapping(tree.get("teachers")).items():
        yield from _chosen("models", ("teachers", name), teacher, TeacherSpec)
        yield from _training(("teachers", name, "fit"), mapping(teacher).get("fit"), FitSpec)
    for index, student in enumerate(sequence(tree.get("students"))):
        yield from _of_student(("students", index), mapping(student), mapping(tree.get("teachers")))
    for index, task in enumerate(sequence(tree.get("tasks"))):
        yield from _chosen("tasks", ("tasks", index), task, TaskSpec)
        yield from _chosen("data", ("tasks", index, "data"), mapping(task).get("data"), Use)
    for name, meter in mapping(tree.get("measure")).items():
        path = ("measure", name)
        yield Choice("meters", name, path, path, mapping(meter), None)


def _of_student(path: KeyPath, student: dict[str, Any], teachers: dict[str, Any]) -> Iterator[Choice]:
    use, options = student.get("use"), student.get("options")
    if isinstance(use, str):
        yield Choice("models", use, (*path, "use"), (*path, "use"), None, None)
    family = _family(student, teachers)
    if isinstance(options, dict) and isinstance(family, str) and plugins.known("models", family):
        yield Choice("models", family, (*path, "options"), (*path, "options"), options, None)
    yield from _chosen("inits", (*path, "init"), student.get("init"), Use)
    yield from _training((*path, "distil"), student.get("distil"), DistilSpec)
    yield from _chosen("quantisers", (*path, "quantise"), student.get("quantise"), Use)
    deploy = student.get("deploy")
    yield from _chosen("deployments", (*path, "deploy"), deploy, Use)
    for index, each in enumerate(sequence(deploy)):
        yield from _chosen("deployments", (*path, "deploy", index), each, Use)


def _family(student: dict[str, Any], teachers: dict[str, Any]) -> Any:
    """Return the name of the model plug-in that opens a student; an init that makes another family is left to plan."""
    of = student.get("of")
    named = [each for each in [of, *sequence(of)] if isinstance(each, str)]
    teacher = mapping(teachers.get(named[0])) if named else {}
    return None if mapping(student.get("init")) else student.get("use") or teacher.get("use")


def _training(path: KeyPath, value: Any, spec: type[BaseModel]) -> Iterator[Choice]:
    yield from _chosen("methods", path, value, spec)
    yield from _chosen("data", (*path, "data"), mapping(value).get("data"), Use)


def _chosen(group: str, path: KeyPath, value: Any, spec: type[BaseModel]) -> Iterator[Choice]:
    name = mapping(value).get("use")
    if isinstance(name, str):
        yield Choice(group, name, (*path, "use"), path, value, spec)


def nested(choice: Choice) -> Iterator[Choice]:
    """Yield the plug-ins that a plug-in's own options choose, such as the losses of a method, and theirs."""
    if not choice.options or not plugins.known(choice.group, choice.name):
        return
    try:
        fields = plugins.options_type(choice.group, choice.name).model_fields
    except DistbenchError:  # reported where the plug-in is chosen
        return
    for key, field in fields.items():
        for group in (each.group for each in field.metadata if isinstance(each, Chooses)):
            path, value = (*choice.path, key), choice.options.get(key)
            several = [((*path, place), each) for place, each in enumerate(sequence(value))]
            for where, each in several or [(path, value)]:
                for inner in _inside(group, where, each, chosen_as(field.annotation)):
                    yield inner
                    yield from nested(inner)


def _inside(group: str, path: KeyPath, value: Any, spec: type[BaseModel]) -> Iterator[Choice]:
    if isinstance(value, str):
        yield Choice(group, value, path, path, None, None)
    else:
        yield from _chosen(group, path, value, spec)


def chosen_as(annotation: Any) -> type[Use]:
    """Return the kind of `Use` that an option takes, whatever it is wrapped in: its keys are not the plug-in's."""
    if isinstance(annotation, type) and issubclass(annotation, Use):
        return annotation
    return next((kind for each in get_args(annotation) if (kind := chosen_as(each)) is not Use), Use)


def plugin_faults(tree: Mapping[str, Any], plain: Mapping[KeyPath, str]) -> list[Fault]:
    """Return what is wrong with the plug-ins that a tree chooses, and with their options."""
    found = [each for choice in choices(tree) for each in (choice, *nested(choice))]
    return [fault for choice in found for fault in _faults_of_choice(choice, plain)]


def _faults_of_choice(choice: Choice, plain: Mapping[KeyPath, str]) -> list[Fault]:
    group, name = choice.group, choice.name
    if not plugins.known(group, name):
        return [Fault(choice.named_at, lambda: plugins.unknown(group, name), on_key=group == "meters")]
    try:
        model = plugins.options_type(group, name)
    except DistbenchError as error:
        message = error.message
        return [Fault(choice.named_at, lambda: message, error=type(error))]
    if choice.mapping is None:
        return []
    options = choice.options
    try:
        plugins.validated(model, options)
    except ValidationError as error:
        return faults_of(error, model, Document(options, plain, choice.path, choice.common))
    return []


def mapping(value: Any) -> dict[str, Any]:
    """Return `value` where it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """Return `value` where it is a list, else an empty one."""
    return value if isinstance(value, list) else []
