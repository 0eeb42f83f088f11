"""Seeded order and JSON Lines, the same bytes on every Python version."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from typing import Any, Final

SEED: Final = 20240611
FIRST_SEED: Final = 20240229  # of the quick start's tasks
Row = dict[str, Any]


def order(text: str, purpose: str, seed: int = SEED) -> bytes:
    """Return a key that sorts texts in a seeded random order."""
    return hashlib.sha256(f"{seed}|{purpose}|{text}".encode()).digest()


def shuffled(texts: Iterable[str], purpose: str) -> list[str]:
    """Order the texts of the quick start's tasks."""
    return sorted(texts, key=lambda text: order(text, purpose, FIRST_SEED))


def number(purpose: str, low: int, high: int) -> int:
    """Return a seeded whole number from `low` to `high`, both included."""
    return low + int.from_bytes(order("number", purpose)[:8], "big") % (high - low + 1)


def mixed(rows: Iterable[Row], purpose: str) -> list[Row]:
    """Order rows by a hash of their content, so that any first n rows mix the templates."""
    return sorted(rows, key=lambda row: order(json.dumps(row), purpose))


def to_jsonl(prefix: str, rows: Iterable[Row]) -> str:
    """Number the rows and write one JSON object a line."""
    return "".join(f"{json.dumps({'id': f'{prefix}-{i:03d}', **row})}\n" for i, row in enumerate(rows))


def sentence(text: str) -> str:
    """Return `text` with a capital letter at the beginning."""
    return text[0].upper() + text[1:]
