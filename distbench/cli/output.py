"""Standard output carries the result only; everything else goes to standard error."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticSerializationError
from rich.console import Console


def out() -> Console:
    """Return the console of results: as wide as the terminal, or COLUMNS; wide where nobody says how wide."""
    said = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    return Console(file=sys.stdout, width=None if said else 160, highlight=False)


def err() -> Console:
    """Return the console of progress and notes."""
    return Console(file=sys.stderr, highlight=False)


def print_json(document: BaseModel | dict[str, Any] | list[Any]) -> None:
    """Print one JSON document."""
    try:
        text = document.model_dump_json(indent=2) if isinstance(document, BaseModel) else _dumped(document)
    except PydanticSerializationError:  # a lone surrogate: no UTF-8, but an escape in JSON
        text = _dumped(document.model_dump(mode="python") if isinstance(document, BaseModel) else document)
    sys.stdout.write(text.encode("utf-8", "backslashreplace").decode("utf-8") + "\n")


def _dumped(document: Any) -> str:
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
