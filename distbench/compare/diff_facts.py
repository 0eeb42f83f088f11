"""What is not the same in two runs, in words: models, tasks, gate, versions, machine, settings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from distbench.compare.diff_measures import machine
from distbench.schema.diff import Fact, Topic
from distbench.schema.record import Training
from distbench.schema.result import Asked, Result, StudentResult, Surroundings, TeacherResult

_SIZES = ("bytes_on_disk", "params_unique", "params_non_embedding", "dtype")
_TRAINED = ("method", "objective", "data", "examples", "units", "epochs", "steps")
TRAINED_HERE = "trained in this run"
_NOT_SETTINGS = {"device_reason"}


def run_facts(a: Result, b: Result) -> list[Fact]:
    """Return what differs between the runs as a whole."""
    found = [*_pair("settings", "suite", a.suite, b.suite), *_pair("versions", "distbench", a.distbench, b.distbench)]
    found += _mapping("versions", a.packages, b.packages)
    found += _machine(a, b)
    settings = [{k: v for k, v in each.settings.items() if k not in _NOT_SETTINGS} for each in (a, b)]
    found += _mapping("settings", settings[0], settings[1])
    return [*found, *gate_facts(a, b), *task_facts(a, b)]


def _machine(a: Result, b: Result) -> Iterator[Fact]:
    hosts = [
        None if each.host is None else machine(Surroundings(host=each.host, device="", threads=None)) for each in (a, b)
    ]
    yield from _pair("machine", "machine", hosts[0], hosts[1])
    if a.host and b.host:
        yield from _pair("machine", "operating system", a.host.os, b.host.os)
        yield from _pair("versions", "Python", a.host.python, b.host.python)


def gate_facts(a: Result, b: Result) -> list[Fact]:
    """Return the rules of the gate that were changed."""
    found = [*_pair("gate", "alpha", a.alpha, b.alpha), *_pair("gate", "suite_rule", a.suite_rule, b.suite_rule)]
    found += _mapping("gate", a.thresholds, b.thresholds)
    floors = [{f"floor of {task}": floor for task, floor in each.task_floors.items()} for each in (a, b)]
    return [*found, *_mapping("gate", floors[0], floors[1])]


def asked(result: Result) -> dict[str, Asked]:
    """Return what each task asked, from the first student that has it."""
    found: dict[str, Asked] = {}
    for student in result.students:
        for task in student.tasks:
            found.setdefault(task.task, task.asked)
    return found


def task_facts(a: Result, b: Result) -> list[Fact]:
    """Return tasks that only one run has, and those that asked something else."""
    before, after = asked(a), asked(b)
    found = [Fact(topic="task", about=name, a="asked", b=None) for name in before if name not in after]
    found += [Fact(topic="task", about=name, a=None, b="asked") for name in after if name not in before]
    for name in (each for each in before if each in after):
        found += _pair("task", f"{name}: version", before[name].version, after[name].version)
        if None not in {before[name].data, after[name].data}:
            found += _pair("task", f"{name}: data", _short(before[name].data), _short(after[name].data))
            found += _pair("task", f"{name}: prompts", _short(before[name].prompts), _short(after[name].prompts))
    return found


def same_model(a: StudentResult | TeacherResult, b: StudentResult | TeacherResult) -> bool | None:
    """Say whether two models are one: equal weights and how they are opened. None: a run does not record it."""
    if a.identity is None or b.identity is None:
        return None
    return a.identity == b.identity


def model_facts(a: StudentResult | TeacherResult, b: StudentResult | TeacherResult) -> list[Fact]:
    """Return what differs between two models of one name."""
    label = b.label
    found = [*_pair("model", f"{label}: name", a.label, b.label)]
    found += _pair("model", f"{label}: identity", _short(a.identity), _short(b.identity))
    if isinstance(a, StudentResult) and isinstance(b, StudentResult):
        found += _pair("weights", f"{label}: weights", _short(a.weights), _short(b.weights))
        found += _pair("recipe", f"{label}: recipe", a.made_by, b.made_by)
        found += _pair("recipe", f"{label}: teachers", ", ".join(a.of), ", ".join(b.of))
        found += _pair("gate", f"{label}: required", a.required, b.required)
    elif isinstance(a, TeacherResult) and isinstance(b, TeacherResult):
        found += _pair("model", f"{label}: source", a.source, b.source)
    for size in _SIZES:
        found += _pair("size", f"{label}: {size}", getattr(a.footprint, size), getattr(b.footprint, size))
    return [*found, *_training(label, a.training, b.training)]


def _training(label: str, a: Training | None, b: Training | None) -> Iterator[Fact]:
    if a is None or b is None:
        yield from _pair("training", f"{label}: {TRAINED_HERE}", a is not None, b is not None)
        return
    for name in _TRAINED:
        yield from _pair("training", f"{label}: {name}", getattr(a, name), getattr(b, name))
    yield from _pair("training", f"{label}: content of the data", _short(a.data_digest), _short(b.data_digest))
    for name in (each for each in dict.fromkeys([*a.options, *b.options]) if not _outcome(each)):
        yield from _pair("training", f"{label}: {name}", a.options.get(name), b.options.get(name))


def _outcome(option: str) -> bool:
    """Say whether a training noted what came out, not what was asked for."""
    return option.endswith("_seconds") or option.startswith("heldout")


def _mapping(topic: Topic, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Fact]:
    for name in dict.fromkeys([*a, *b]):
        yield from _pair(topic, name, a.get(name), b.get(name))


def _pair(topic: Topic, about: str, a: Any, b: Any) -> Iterator[Fact]:
    if a != b:
        yield Fact(topic=topic, about=about, a=_words(a), b=_words(b))


def _words(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.10g}"
    return json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)


def _short(digest: str | None) -> str | None:
    """Return as much of a digest as tells two apart."""
    return None if digest is None else digest[:16]
