"""Local data files of a task, looked through before anything runs: a fault names its file and line."""

from __future__ import annotations

import functools
import json
from pathlib import Path

from distbench.errors import EnvironmentFault, Position, RunError, UsageError


def check_data_file(path: Path) -> None:
    """Raise UsageError for a line that is not a JSON object, RunError for a file without any.

    Only JSON Lines are looked through; a file that has not changed is read once a process.
    """
    if path.suffix == ".jsonl":
        try:
            facts = path.stat()
        except OSError as error:
            raise EnvironmentFault(f"{path} cannot be read: {error.strerror}") from error
        _check(path, facts.st_mtime_ns, facts.st_size)


@functools.lru_cache(maxsize=4096)
def _check(path: Path, changed: int, size: int) -> None:
    found = False
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            found = True
            at = Position(str(path), number)
            try:
                value = json.loads(line)
            except (ValueError, RecursionError) as error:
                first = (str(error).strip() or type(error).__name__).splitlines()[0][:160]
                raise UsageError(f"not JSON: {first}", at=at) from None
            if not isinstance(value, dict):
                raise UsageError(f"a line holds one JSON object, not {type(value).__name__}", at=at)
    if not found:
        raise RunError(f"{path}: 0 examples")
