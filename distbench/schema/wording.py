"""Validation faults in distbench's own words, each tied to the path of the value it is about."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from distbench.errors import DistbenchError, UsageError, did_you_mean, nearest
from distbench.schema.sizes import SIZE_PATTERN, SIZE_WORDS
from distbench.schema.strict import NAME_PATTERN
from distbench.schema.suite import DEVICE_PATTERN, TASK_NAME_PATTERN

KeyPath = tuple[str | int, ...]

_EXPECTED = {
    "int_type": "integer",
    "int_from_float": "integer",
    "float_type": "number",
    "string_type": "string",
    "path_type": "string",
    "bool_type": "true or false",
    "none_required": "null",
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"), "list"),
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"), "mapping"),
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "greater than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
    "multiple_of": ("multiple_of", "a multiple of"),
}
_SIZES = {
    "string_too_short": ("min_length", "at least", "character"),
    "string_too_long": ("max_length", "at most", "character"),
    "too_short": ("min_length", "at least", "entry"),
    "too_long": ("max_length", "at most", "entry"),
}
DEVICE_WORDS = "'auto', 'cpu', 'cuda', 'cuda:N' or 'cuda:GPU-…' (the beginning of a UUID)"
_PATTERNS = {
    NAME_PATTERN: "letters, digits and . _ + - (a letter or digit first, at most 64 characters)",
    TASK_NAME_PATTERN: "letters, digits and . _ + , : / - (a letter or digit first, at most 128 characters)",
    DEVICE_PATTERN: DEVICE_WORDS,
    SIZE_PATTERN: SIZE_WORDS,
}
_CHOICES = {"literal_error", "enum"}
_OF_PROGRAMS = {"missing": "is missing", "extra_forbidden": "is not known"}
_KNOWN_TO_MAN = 100  # a hostile suite may hold thousands of unknown keys; nobody mistypes that many


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong. `say` is called only for the fault that is reported: near names cost time."""

    path: KeyPath
    say: Callable[[], str]
    on_key: bool = False
    """The position to report is that of the key, not of its value."""
    owner: KeyPath = ()
    """The mapping that `unknown` or `wants` is about."""
    unknown: str | None = None
    """A key of `owner` that nothing knows."""
    wants: tuple[str, ...] = ()
    """Keys of `owner`, one of which would settle the fault."""
    error: type[DistbenchError] = UsageError


@dataclass(frozen=True)
class Document:
    """What is being validated. `plain` holds the text of unquoted scalars that did not become strings."""

    tree: Any
    plain: Mapping[KeyPath, str]
    base: KeyPath = ()
    common: tuple[str, ...] = ()
    """Keys beside the model's own that are known in the top mapping."""


def shorten(text: str, limit: int = 60) -> str:
    """Return `text` cut to a length that fits a message."""
    return text if len(text) <= limit else text[: limit - 1] + "…"


def harmless(text: str) -> str:
    """Return `text` short, and with escapes for whatever could move the cursor of a terminal."""
    return shorten(text if text.isprintable() else repr(text)[1:-1])


def first_fault(error: ValidationError) -> str:
    """Return where a document that a program wrote is wrong first, and how; one short line, without the value."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = harmless(".".join(map(str, first["loc"]))) or "the top"
    if where.endswith("_schema") and first["type"] == "literal_error":
        return f"{where} is {_version(error)}, and this version of distbench reads {first['ctx']['expected']}"
    said = _OF_PROGRAMS.get(first["type"]) or " ".join(first["msg"].split()).removeprefix("Input ")
    said = said if said.isprintable() else repr(said)[1:-1]
    return f"{where}: {shorten(said, 160)}"


def _version(error: ValidationError) -> str:
    given = error.errors(include_url=False)[0]["input"]
    return str(given) if isinstance(given, int) and abs(given) < 10**6 else "none that there is"


def describe(value: object) -> str:
    """Return a value in the words of a person who writes YAML."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, (int, float)):
        return f"{'integer' if isinstance(value, int) else 'number'} {shorten(str(value))}"
    if isinstance(value, str):
        return f"string {shorten(value)!r}"
    return "mapping" if isinstance(value, dict) else "list"


def unknown_key(key: str, known: Iterable[str]) -> str:
    """Return the message for a key that nothing knows."""
    return f"unknown key {shorten(key)!r}{did_you_mean(key[:80], known)}"


def drop_consequences(faults: list[Fault]) -> list[Fault]:
    """Leave out each missing key that a mistyped key beside it explains: `studnets` is one fault, not two."""
    unknown: dict[KeyPath, list[str]] = {}
    for fault in faults:
        if fault.unknown is not None and len(unknown.setdefault(fault.owner, [])) < _KNOWN_TO_MAN:
            unknown[fault.owner].append(fault.unknown[:80])
    return [
        fault for fault in faults if not any(nearest(want, unknown.get(fault.owner, ()), 1) for want in fault.wants)
    ]


def faults_of(error: ValidationError, model: type[BaseModel], document: Document) -> list[Fault]:
    """Translate what pydantic found; the branches of a union become one fault."""
    plain_faults: list[Fault] = []
    unions: dict[KeyPath, list[tuple[KeyPath, dict[str, Any]]]] = {}
    for raw in error.errors(include_url=False, include_input=False):
        detail: dict[str, Any] = dict(raw)
        path, union, on_key = _locate(document.tree, detail["loc"], detail["type"])
        if union is None:
            plain_faults.append(_fault(path, [detail], model, document, on_key=on_key))
        else:
            unions.setdefault(union, []).append((path, detail))
    for union, found in unions.items():
        path, details = _most_telling(union, found)
        plain_faults.append(_fault(path, details, model, document))
    return plain_faults


def _locate(tree: Any, loc: tuple[str | int, ...], kind: str) -> tuple[KeyPath, KeyPath | None, bool]:
    """Return the tree path of an error, the path of the first union it went through, and whether it is about a key."""
    path: KeyPath = ()
    union: KeyPath | None = None
    value: Any = tree
    for index, step in enumerate(loc):
        if step == "[key]":
            return path, union, True
        if _has(value, step):
            path, value = (*path, step), value[step]
        elif kind == "missing" and index == len(loc) - 1:
            path = (*path, step)
        elif union is None:  # a step that the tree does not have names the branch of a union
            union = path
    return path, union, False


def _has(value: Any, step: str | int) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


def _most_telling(union: KeyPath, found: list[tuple[KeyPath, dict[str, Any]]]) -> tuple[KeyPath, list[dict[str, Any]]]:
    """Prefer a branch whose type fits (`samples: 0` is out of range) to the list of all branches."""
    for path, detail in found:
        if path != union or detail["type"] not in _EXPECTED.keys() | _CHOICES:
            return path, [detail]
    return union, [detail for _, detail in found]


def _fault(
    path: KeyPath, details: list[dict[str, Any]], model: type[BaseModel], document: Document, *, on_key: bool = False
) -> Fault:
    detail, full, owner = details[0], document.base + path, document.base + path[:-1]

    def known() -> list[str]:
        return [*keys_at(model, path[:-1]), *(document.common if len(path) == 1 else ())]

    if detail["type"] == "extra_forbidden":
        key = str(path[-1])
        return Fault(full, lambda: unknown_key(key, known()), on_key=True, owner=owner, unknown=key)
    if detail["type"] == "missing" and isinstance(path[-1], str):
        key = str(path[-1])
        return Fault(full, lambda: _missing(key, _at(document.tree, path[:-1]), known()), owner=owner, wants=(key,))
    if detail["type"] == "missing":
        return Fault(full, lambda: f"missing entry {path[-1]}")
    if on_key:
        key = str(path[-1])
        return Fault(full, lambda: _value_message(details, key, None), on_key=True)
    return Fault(full, lambda: _value_message(details, _at(document.tree, path), document.plain.get(full)))


def _missing(key: str, beside: Any, known: list[str]) -> str:
    strangers = [name[:80] for name in beside if name not in known] if isinstance(beside, dict) else []
    near = nearest(key, strangers[:_KNOWN_TO_MAN], 1)
    return f"missing key {key!r}" + (f"; is {near[0]!r} meant to be {key!r}?" if near else "")


def _value_message(details: list[dict[str, Any]], value: Any, raw: str | None) -> str:
    detail = details[0]
    kind, context = detail["type"], detail.get("ctx", {})
    shown = shorten(raw) if raw else describe(value)
    if kind == "finite_number":
        return f"must be a finite number, got {shown}"
    if kind in _BOUNDS:
        name, words = _BOUNDS[kind]
        return f"must be {words} {_number(context[name])}, got {shown.split(' ', 1)[-1]}"
    if kind in _SIZES:
        return _size_message(kind, context)
    if kind == "string_pattern_mismatch":
        allowed = _PATTERNS.get(context["pattern"], f"a string that matches {context['pattern']}")
        return f"expected {allowed}, got {describe(value)}"
    if kind in _EXPECTED or kind in _CHOICES:
        return _expected_message([_expectation(each) for each in details], value, raw)
    text = str(context.get("error") or detail["msg"]).removeprefix("Input should ")
    return f"{shorten(' '.join(text.split()), 200)}, got {describe(value)}"


def _size_message(kind: str, context: Mapping[str, Any]) -> str:
    name, words, noun = _SIZES[kind]
    limit = context[name]
    nouns = noun if limit == 1 else {"entry": "entries"}.get(noun, noun + "s")
    got = f", got {context['actual_length']}" if "actual_length" in context else ""
    return f"must have {words} {limit} {nouns}{got}"


def _expectation(detail: Mapping[str, Any]) -> str:
    if detail["type"] in _CHOICES:
        choices = str(detail["ctx"]["expected"])
        return f"one of {choices}" if "," in choices else choices
    return _EXPECTED[str(detail["type"])]


def _expected_message(expected: list[str], value: Any, raw: str | None) -> str:
    distinct = list(dict.fromkeys(expected))
    wanted = ", ".join(distinct[:-1]) + " or " + distinct[-1] if len(distinct) > 1 else distinct[0]
    shown = describe(value)
    message = f"expected {wanted}, got {shown}"
    if raw and raw not in shown.split():
        message += f", as YAML reads {shorten(raw)}"
    if raw and ("string" in distinct or all("'" in each for each in distinct)):
        return f"{message}; quote the value: '{shorten(raw)}'"
    if raw and isinstance(value, float) and raw != str(value):  # 1.10 was hardly meant to be the number 1.1
        return f"{message}; quote the value where text is meant"
    return message + (_string_hint(value, distinct) if isinstance(value, str) else "")


def _string_hint(value: str, expected: list[str]) -> str:
    if re.fullmatch(r"[-+]?\d+", value[:40]) and any(
        each in {"integer", "number"} or each.isdigit() for each in expected
    ):
        return "; leave the quotes out"
    if "number" in expected and (match := re.fullmatch(r"([-+]?\d+)(\.\d*)?[eE]([-+]?)(\d+)", value[:40])):
        whole, fraction, sign, power = match.groups()
        return f"; YAML wants a point and a sign: {whole}{fraction or '.0'}e{sign or '+'}{power}"
    return did_you_mean(value[:80], re.findall(r"'([^']*)'", " ".join(expected)))


def _number(bound: float) -> str:
    return f"{int(bound)}" if float(bound).is_integer() else f"{bound}"


def _at(tree: Any, path: KeyPath) -> Any:
    for step in path:
        tree = tree[step]
    return tree


def keys_at(model: type[BaseModel], path: KeyPath) -> list[str]:
    """Return the keys that the mapping at `path` of a document of this model may have."""
    kinds: list[Any] = [model]
    for step in path:
        kinds = [inner for kind in kinds for inner in _step_into(kind, step)]
    return [name for kind in kinds if _is_model(kind) for name in kind.model_fields]


def _step_into(kind: Any, step: str | int) -> Iterator[Any]:
    if _is_model(kind):
        if step in kind.model_fields:
            yield from _branches(kind.model_fields[step].annotation)
        return
    arguments = get_args(kind)
    if arguments:  # dict[str, X] → X; list[X] and tuple[X, ...] → X
        yield from _branches(arguments[1 if get_origin(kind) is dict else 0])


def _branches(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _branches(get_args(annotation)[0])
    elif origin in {Union, UnionType}:
        for each in get_args(annotation):
            yield from _branches(each)
    else:
        yield annotation


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)
