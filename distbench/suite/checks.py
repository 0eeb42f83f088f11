"""What a schema cannot say: names that must differ or exist, and combinations that mean nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

from distbench import secrets
from distbench.errors import RefusedError, UsageError, did_you_mean
from distbench.schema.wording import Fault, KeyPath, harmless, shorten
from distbench.suite.uses import mapping, sequence
from distbench.suite.yaml_source import Source

MAX_ENTRIES = 1000
STEPS = ("source", "init", "distil", "quantise", "deploy", "options")


def refuse_excess(source: Source) -> None:
    """Stop at once where a section has more entries than anybody could run; each wrong one would cost time."""
    for section in ("teachers", "students", "tasks", "measure"):
        entries = mapping(source.tree).get(section)
        if isinstance(entries, (dict, list)) and len(entries) > MAX_ENTRIES:
            at = source.key_position((section,))
            raise UsageError(f"{section} may have at most {MAX_ENTRIES} entries, got {len(entries)}", at=at)


def semantic_faults(source: Source) -> list[Fault]:
    """Return what is wrong with the meaning of a tree, which need not be valid otherwise."""
    tree = mapping(source.tree)
    return [
        *_teachers(tree),
        *_students(tree, source),
        *_tasks(tree, source),
        *_gate(tree),
        *_not_finite(tree, source),
        *_credentials(tree),
    ]


def _teachers(tree: dict[str, Any]) -> Iterator[Fault]:
    for name, teacher in mapping(tree.get("teachers")).items():
        if not isinstance(teacher, dict):
            continue
        path: KeyPath = ("teachers", name)
        has = [key for key in ("source", "fit") if teacher.get(key) is not None]
        if not has:
            text = f"teacher {shorten(name)!r} needs source (a model to load) or fit (how to train one)"
            yield Fault(path, _say(text), on_key=True, owner=path, wants=("source", "fit"))
        elif len(has) == 2:
            text = f"teacher {shorten(name)!r} has both source and fit; leave one out"
            yield Fault((*path, "fit"), _say(text), on_key=True)


def _students(tree: dict[str, Any], source: Source) -> Iterator[Fault]:
    if tree.get("students") in (None, []):
        yield Fault(("students",), _say("nothing to compare: the suite has no students"), wants=("students",))
    teachers = mapping(tree.get("teachers"))
    seen: dict[str, int] = {}
    names = {student.get("name") for student in _mappings(tree.get("students")).values() if _is_text(student, "name")}
    for index, student in _mappings(tree.get("students")).items():
        path: KeyPath = ("students", index)
        yield from _steps(path, student)
        yield from _repeated((*path, "distil"), mapping(student.get("distil")))
        yield from _parents(path, student.get("of"), teachers, names)
        name = student.get("name")
        if not isinstance(name, str):
            continue
        if name in seen:
            yield Fault(
                (*path, "name"), _twice("students", name, source, ("students", seen[name], "name"), (*path, "name"))
            )
        seen.setdefault(name, index)
        if name in teachers:
            at = source.key_position(("teachers", name))
            where = f"line {at.line}" if at.line else str(at)
            text = f"student {shorten(name)!r} has the name of a teacher ({where}); give it another"
            yield Fault((*path, "name"), _say(text))


def _steps(path: KeyPath, student: dict[str, Any]) -> Iterator[Fault]:
    has = [step for step in STEPS if student.get(step) is not None]
    if not has:
        name = shorten(str(student.get("name")))
        steps = "source, init, distil, quantise or deploy"
        text = f"nothing to compare: student {name!r} is the teacher itself; give it {steps}"
        yield Fault(path, _say(text), owner=path, wants=STEPS)
    elif "source" in has and "init" in has:
        text = "source opens a model and init makes one; a student has only one of them"
        yield Fault((*path, "init"), _say(text), on_key=True)


def _repeated(path: KeyPath, distil: dict[str, Any]) -> Iterator[Fault]:
    """Find a seed, or a control, that is listed twice."""
    for key, noun in (("seeds", "seed"), ("control", "control")):
        listed = sequence(distil.get(key))
        for place, each in enumerate(listed):
            if isinstance(each, (int, str)) and each in listed[:place]:
                yield Fault((*path, key, place), _say(f"{noun} {shorten(str(each))} is listed twice"))


def _parents(path: KeyPath, of: Any, teachers: dict[str, Any], students: set[Any]) -> Iterator[Fault]:
    named = [((*path, "of"), of)] if isinstance(of, str) else []
    named += [((*path, "of", index), each) for index, each in enumerate(sequence(of)) if isinstance(each, str)]
    seen: set[str] = set()
    for where, name in named:
        if name in seen:
            yield Fault(where, _say(f"teacher {shorten(name)!r} is named twice"))
        elif name not in teachers:
            yield Fault(where, _no_teacher(name, teachers, is_student=name in students))
        seen.add(name)


def _no_teacher(name: str, teachers: dict[str, Any], *, is_student: bool) -> Callable[[], str]:
    def say() -> str:
        if is_student:
            return (
                f"{shorten(name)!r} is a student; a student can be of a teacher only ({harmless(', '.join(teachers))})"
            )
        return f"unknown teacher {shorten(name)!r}{did_you_mean(name[:80], teachers)}"

    return say


def _tasks(tree: dict[str, Any], source: Source) -> Iterator[Fault]:
    if not tree.get("tasks") and not tree.get("measure"):
        text = "nothing to compare on: give tasks, measure or both"
        yield Fault((), _say(text), wants=("tasks", "measure"))
    seen: dict[str, KeyPath] = {}
    for index, task in _mappings(tree.get("tasks")).items():
        key = "name" if task.get("name") else "use"
        title = task.get(key)
        if not isinstance(title, str):
            continue
        path: KeyPath = ("tasks", index, key)
        if title in seen:
            yield Fault(path, _twice("tasks", title, source, seen[title], path))
        seen.setdefault(title, path)


def _gate(tree: dict[str, Any]) -> Iterator[Fault]:
    """Find floors of tasks that the suite does not have."""
    tasks = _mappings(tree.get("tasks")).values()
    titles = [str(task.get("name") or task.get("use")) for task in tasks]
    for name in mapping(mapping(tree.get("gate")).get("tasks")):
        if isinstance(name, str) and name not in titles:
            yield Fault(("gate", "tasks", name), _no_task(name, titles), on_key=True)


def _no_task(name: str, titles: list[str]) -> Callable[[], str]:
    return lambda: f"gate.tasks names the unknown task {shorten(name)!r}{did_you_mean(name[:80], titles)}"


def _not_finite(tree: Any, source: Source) -> Iterator[Fault]:
    """Find NaN and infinity wherever they are: no option of any plug-in may have them, and JSON cannot hold them."""
    for path, value in _leaves(tree):
        if isinstance(value, float) and not math.isfinite(value):
            yield Fault(path, _say(f"must be a finite number, got {source.plain.get(path, value)}"))


def _credentials(tree: Any) -> Iterator[Fault]:
    """Find what is certainly a credential: a suite is recorded with the run, and shown on its page."""
    for path, value in _leaves(tree):
        if isinstance(value, str) and secrets.is_certain(value):
            text = "this holds a credential, and a suite is recorded with its run; name the environment variable that "
            yield Fault(path, _say(f"{text}holds it (api_key_env), or log in (hf auth login)"), error=RefusedError)


def _leaves(tree: Any) -> Iterator[tuple[KeyPath, Any]]:
    waiting: list[tuple[KeyPath, Any]] = [((), tree)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*path, key), each) for key, each in value.items()]
        elif isinstance(value, list):
            waiting += [((*path, index), each) for index, each in enumerate(value)]
        else:
            yield path, value


def _twice(kind: str, name: str, source: Source, first: KeyPath, second: KeyPath) -> Callable[[], str]:
    one, two = source.position(first), source.position(second)
    where = f"lines {one.line} and {two.line}" if one.line and two.line else f"{one} and {two}"
    return _say(f"two {kind} are named {shorten(name)!r} ({where})")


def _say(text: str) -> Callable[[], str]:
    return lambda: text


def _mappings(value: Any) -> dict[int, dict[str, Any]]:
    return {index: each for index, each in enumerate(sequence(value)) if isinstance(each, dict)}


def _is_text(value: dict[str, Any], key: str) -> bool:
    return isinstance(value.get(key), str)
