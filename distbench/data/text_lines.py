"""Texts of a file: JSON Lines, or plain text with a text a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from distbench.errors import RunError


def read_texts(path: Path, field: str) -> Iterator[str]:
    """Yield the texts of a .jsonl file's `field`, or the lines of any other file that are not blank.

    Raises RunError with file and line for what is not a text.
    """
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            if path.suffix != ".jsonl":
                yield line.rstrip("\n")
                continue
            try:
                document = json.loads(line)
            except ValueError as error:
                raise RunError(f"{path}:{number}: not JSON ({error})") from None
            text = document.get(field) if isinstance(document, dict) else None
            if not isinstance(text, str):
                raise RunError(f"{path}:{number}: no text in field {field!r}")
            yield text
