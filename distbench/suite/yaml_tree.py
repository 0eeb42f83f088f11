"""A plain tree with positions, built from YAML events one by one: no recursion, so no input can exhaust the stack."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from distbench.errors import Position, RefusedError, UsageError
from distbench.schema.wording import KeyPath, describe, shorten

MAX_DEPTH = 32
MAX_NODES = 50_000
_LONGEST_NUMBER = 128  # longer scalars stay strings: nobody writes such numbers, and reading them can be slow
_CORE_TAGS = {"null", "bool", "int", "float", "str", "seq", "map"}
_PREFIX = "tag:yaml.org,2002:"

_resolve: Any = yaml.resolver.Resolver().resolve
_constructor = yaml.constructor.SafeConstructor()
_CONSTRUCT = {
    f"{_PREFIX}null": _constructor.construct_yaml_null,
    f"{_PREFIX}bool": _constructor.construct_yaml_bool,
    f"{_PREFIX}int": _constructor.construct_yaml_int,
    f"{_PREFIX}float": _constructor.construct_yaml_float,
}


@dataclass
class _Open:
    """A mapping or list whose end has not been seen."""

    path: KeyPath
    content: dict[str, Any] | list[Any]
    key: str | None = None
    lines: dict[str, int] = field(default_factory=dict)


class TreeBuilder:
    """Takes the events of one document; afterwards `tree`, `positions`, `key_positions` and `plain` are complete."""

    def __init__(self, file: str) -> None:
        self.tree: Any = None
        self.empty = True
        self.positions: dict[KeyPath, Position] = {}
        self.key_positions: dict[KeyPath, Position] = {}
        self.plain: dict[KeyPath, str] = {}
        self._file = file
        self._open: list[_Open] = []
        self._nodes = 0

    def feed(self, event: yaml.Event) -> None:
        """Take the next event."""
        if isinstance(event, yaml.AliasEvent):
            self._fail(event, f"aliases are not allowed (*{shorten(str(event.anchor))}); write the value out")
        if isinstance(event, yaml.NodeEvent):
            self._node(event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._open.pop()

    def _node(self, event: yaml.NodeEvent) -> None:
        self._nodes += 1
        if self._nodes > MAX_NODES:
            self._fail(event, f"more than {MAX_NODES} values in one file")
        if event.anchor is not None:
            self._fail(event, f"anchors are not allowed (&{shorten(str(event.anchor))}); write the value out")
        if getattr(event, "tag", None) is not None:
            self._refuse_tag(event)
        parent = self._open[-1] if self._open else None
        if parent is not None and isinstance(parent.content, dict) and parent.key is None:
            self._key(parent, event)
        else:
            self._value(parent, event)

    def _key(self, parent: _Open, event: yaml.NodeEvent) -> None:
        if not isinstance(event, yaml.ScalarEvent):
            kind = "list" if isinstance(event, yaml.SequenceStartEvent) else "mapping"
            self._fail(event, f"expected a string as key, got {kind}")
        if event.implicit[0] and event.value == "<<":
            self._fail(event, "merge keys are not allowed (<<); write the keys out")
        key = self._scalar(event)
        if not isinstance(key, str):
            self._fail(event, f"expected a string as key, got {describe(key)}; quote the key: '{event.value}'")
        if key in parent.lines:
            self._fail(event, f"duplicate key {shorten(key)!r} (first on line {parent.lines[key]})")
        at = self._position(event)
        parent.lines[key] = at.line or 0
        parent.key = key
        self.key_positions[(*parent.path, key)] = at

    def _value(self, parent: _Open | None, event: yaml.NodeEvent) -> None:
        path = () if parent is None else (*parent.path, self._step(parent))
        value: Any
        if isinstance(event, yaml.ScalarEvent):
            value = self._scalar(event)
            if event.implicit[0] and not isinstance(value, str):
                self.plain[path] = event.value
            self.empty = parent is None and value is None
        else:
            value = [] if isinstance(event, yaml.SequenceStartEvent) else {}
            if len(self._open) >= MAX_DEPTH:
                self._fail(event, f"nested deeper than {MAX_DEPTH} levels")
            self._open.append(_Open(path, value))
            self.empty = False
        self.positions[path] = self._position(event)
        if parent is None:
            self.tree = value
        elif isinstance(parent.content, list):
            parent.content.append(value)
        else:
            parent.content[str(parent.key)] = value
            parent.key = None

    @staticmethod
    def _step(parent: _Open) -> str | int:
        return len(parent.content) if isinstance(parent.content, list) else str(parent.key)

    def _scalar(self, event: yaml.ScalarEvent) -> Any:
        """Return the value that YAML 1.1 gives a scalar; timestamps and everything exotic stay strings."""
        text = str(event.value)
        if not text.isascii() or "\0" in text:
            self._check_characters(event, text)
        if not event.implicit[0] or len(text) > _LONGEST_NUMBER:
            return text
        tag = _resolve(yaml.ScalarNode, text, (True, False))
        construct = _CONSTRUCT.get(tag)
        if construct is None:
            return text
        try:
            return construct(yaml.ScalarNode(tag, text))
        except ValueError:  # e.g. `0x_`, which the pattern of integers accepts
            self._fail(event, f"expected a number or a quoted string, got {shorten(text)!r}")

    def _check_characters(self, event: yaml.ScalarEvent, text: str) -> None:
        if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
            self._fail(event, "the escapes of this string make a character that no text may have (NUL or a surrogate)")

    def _refuse_tag(self, event: yaml.NodeEvent) -> NoReturn:
        tag = str(getattr(event, "tag", ""))
        name = tag.removeprefix(_PREFIX)
        if tag.startswith(_PREFIX) and name in _CORE_TAGS:
            self._fail(event, f"tag not allowed: '!!{name}'; quote the value where text is meant")
        shown = f"!!{name}" if tag.startswith(_PREFIX) else tag
        raise RefusedError(
            f"tag not allowed: {shorten(shown)!r}; a suite holds plain values only", at=self._position(event)
        )

    def _position(self, event: yaml.Event) -> Position:
        mark: Any = event.start_mark
        return Position(self._file, mark.line + 1, mark.column + 1)

    def _fail(self, event: yaml.Event, message: str) -> NoReturn:
        raise UsageError(message, at=self._position(event))
