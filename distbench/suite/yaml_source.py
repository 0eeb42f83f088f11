"""Safe YAML: bytes → a plain tree in which every key and value knows its line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml

from distbench.errors import Position, UsageError
from distbench.schema.wording import KeyPath, describe
from distbench.suite.yaml_tree import TreeBuilder

MAX_BYTES = 1 << 20
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What YAML may not hold. Looked for here, because the parsers disagree on how they report it.
_NOT_PRINTABLE = re.compile("[^\x09\x0a\x0d\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
# Directives change nothing in a suite, and the parser's time grows with the square of their number.
_DIRECTIVE = re.compile("(?:^|[\n\r\x85\u2028\u2029])%")


class _Mark(Protocol):
    """Where the YAML parser stands; 0-based. `index` counts characters."""

    index: int
    line: int
    column: int


@dataclass(frozen=True)
class Source:
    """A YAML document. A path leads from the top through keys and list indexes, e.g. `("students", 0, "of")`."""

    file: str
    text: str
    tree: Any
    positions: Mapping[KeyPath, Position] = field(default_factory=dict)
    key_positions: Mapping[KeyPath, Position] = field(default_factory=dict)
    plain: Mapping[KeyPath, str] = field(default_factory=dict)
    """The text of each unquoted scalar that did not become a string."""

    def position(self, path: KeyPath) -> Position:
        """Return where a value stands; for a value that is absent, where the mapping that lacks it stands."""
        while path and path not in self.positions:
            path = path[:-1]
        return self.positions.get(path, Position(self.file))

    def key_position(self, path: KeyPath) -> Position:
        """Return where the key of a value stands."""
        return self.key_positions.get(path) or self.position(path)


def read_source(path: Path, noun: str = "suite") -> Source:
    """Read a suite file, or another one under the same rules; `noun` is what messages call it."""
    return parse_bytes(_read(path, noun), str(path), noun)


def parse_bytes(data: bytes, file: str, noun: str = "suite") -> Source:
    """Parse the content of a suite file, whose top level must be a mapping."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"a {noun} file may have at most 1 MiB, got {len(data)} bytes or more", at=Position(file))
    source, empty = _parse(_decode(data, file, noun), file, noun)
    if empty:
        raise UsageError(f"empty {noun}", at=Position(file))
    if not isinstance(source.tree, dict):
        raise UsageError(f"expected a mapping, got {describe(source.tree)}", at=source.position(()))
    return source


def parse_text(text: str, file: str) -> Source:
    """Parse one YAML value of any kind under the same rules; an empty text is null."""
    return _parse(_decode(text.encode(errors="surrogatepass"), file), file)[0]


def _read(path: Path, noun: str) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(MAX_BYTES + 1)
    except IsADirectoryError:
        reason = f"is a directory, not a {noun} file"
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a NUL byte in the path
        reason = f"no such {noun} file"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    raise UsageError(f"{str(path)!r}: {reason} (working directory: {Path.cwd()})")


def _decode(data: bytes, file: str, noun: str = "suite") -> str:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"not UTF-8 text: byte 0x{data[error.start]:02x} at byte offset {error.start}",
            at=_position_of(data[: error.start].decode(), file),
        ) from None
    content = text.removeprefix("\ufeff")
    bad = _NOT_PRINTABLE.search(content)
    if bad:
        before = content[: bad.start()]
        offset = len(before.encode()) + 3 * (len(text) - len(content))
        name = "NUL byte" if bad[0] == "\0" else f"control character U+{ord(bad[0]):04X}"
        raise UsageError(f"{name} at byte offset {offset}; a {noun} is plain text", at=_position_of(before, file))
    return content


def _position_of(before: str, file: str) -> Position:
    return Position(file, before.count("\n") + 1, len(before) - before.rfind("\n"))


def _parse(text: str, file: str, noun: str = "suite") -> tuple[Source, bool]:
    """Return the document, and whether it holds nothing at all."""
    if directive := _DIRECTIVE.search(text):
        at = _position_of(text[: directive.end() - 1], file)
        raise UsageError("no line may begin with % (YAML directives are not allowed)", at=at)
    builder = TreeBuilder(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            builder.feed(event)
            if isinstance(event, yaml.DocumentEndEvent):
                _refuse_more(text, event, file, noun)
                break
    except yaml.YAMLError as error:
        raise _syntax_error(error, text, file) from None
    source = Source(file, text, builder.tree, builder.positions, builder.key_positions, builder.plain)
    return source, builder.empty


def _refuse_more(text: str, event: yaml.Event, file: str, noun: str) -> None:
    """Look at the rest without the parser: a second document may be made to be slow."""
    end: Any = event.end_mark
    for offset, line in enumerate(text[end.index :].splitlines()):
        content = line.strip()
        if content and content != "..." and not content.startswith("#"):
            second = (
                "multiple documents are not allowed"
                if content.startswith("---")
                else f"text after the end of the {noun}"
            )
            raise UsageError(second, at=Position(file, end.line + offset + 1))


def _syntax_error(error: yaml.YAMLError, text: str, file: str) -> UsageError:
    mark: _Mark | None = getattr(error, "problem_mark", None)
    problem = " ".join(str(getattr(error, "problem", None) or "unreadable").split())
    if mark is None:
        return UsageError(f"invalid YAML: {problem}", at=Position(file))
    position = Position(file, mark.line + 1, mark.column + 1)
    if text[mark.index : mark.index + 1] == "\t":
        return UsageError("tab not allowed as indentation; use spaces", at=position)
    begun: _Mark | None = getattr(error, "context_mark", None)
    if begun is not None and begun.line != mark.line:
        problem += f" (in what begins on line {begun.line + 1})"
    return UsageError(f"invalid YAML: {problem}", at=position)
