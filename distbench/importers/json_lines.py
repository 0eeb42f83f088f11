"""JSON from files that nobody vouches for: every fault is one line that names the file and the line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from distbench.errors import EnvironmentFault, Position, RefusedError, UsageError

LONGEST_LINE = 256 << 20  # bytes; the longest line of a file without line ends would otherwise fill the memory


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object that a file holds."""
    try:
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"not JSON: {_first(error)}", at=Position(str(path))) from None
    if not isinstance(value, dict):
        raise RefusedError("not a JSON object", at=Position(str(path)))
    return value


def read_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield (line number from 1, object) of a JSON Lines file, one line in memory at a time.

    Raises RefusedError for a line that is not a JSON object, and for a file without lines.
    """
    number = 0
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST_LINE):
                number += 1
                yield number, _object(line, Position(str(path), number))
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except OSError as error:
        raise EnvironmentFault(f"{path} cannot be read: {error.strerror}") from error
    if not number:
        raise RefusedError("the file is empty", at=Position(str(path)))


def _object(line: bytes, at: Position) -> dict[str, Any]:
    if len(line) >= LONGEST_LINE:
        raise RefusedError(f"a line of more than {LONGEST_LINE >> 20} MiB", at=at)
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise RefusedError(f"not JSON: {_first(error)}", at=at) from None
    if not isinstance(value, dict):
        raise RefusedError("not a JSON object", at=at)
    return value


def _first(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]
