"""A data set as JSON Lines, such that reading it back gives the same rows."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from distbench.errors import RefusedError
from distbench.store.files import disk_faults, writing

_PLAIN = ("bool", "int", "uint", "float", "string", "large_string", "null")


def refuse_other_than_json(features: Mapping[str, Any], what: str) -> None:
    """Raise RefusedError for a column that JSON has no form for: images, sound, bytes, dates, decimals."""
    for name, feature in features.items():
        if odd := _odd(feature):
            raise RefusedError(f"{what}: column {name!r} holds {odd}, which JSON Lines cannot; map local data by hand")


def _odd(feature: Any) -> str | None:
    """Return what is not JSON in a feature, in words, or None."""
    if isinstance(feature, Mapping):
        return next((odd for each in feature.values() if (odd := _odd(each))), None)
    if isinstance(feature, list | tuple):
        return next((odd for each in feature if (odd := _odd(each))), None)
    kind = type(feature).__name__
    if kind == "Value":
        return None if str(feature.dtype).startswith(_PLAIN) else str(feature.dtype)
    if kind == "ClassLabel":
        return None
    if kind in {"List", "LargeList", "Sequence"}:
        return _odd(feature.feature)
    return None if kind in {"Translation", "TranslationVariableLanguages"} else kind


def write_json_lines(rows: Any, path: Path, what: str) -> int:
    """Write a data set as one JSON object a line, atomically, and return how many rows it has.

    Raises RefusedError where a value is NaN or infinite.
    """
    count = 0
    with disk_faults(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with writing(path) as whole, whole.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(_line(row, what) + "\n")
            count += 1
    return count


def _line(row: Any, what: str) -> str:
    try:
        text = json.dumps(row, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, TypeError) as error:
        raise RefusedError(f"{what}: a row has no JSON form ({str(error)[:120]})") from None
    return text


def refuse_another_reading(path: Path, rows: Any, cache: Path, what: str) -> None:
    """Read the file back as lm-eval will, and raise RefusedError where a row is not what it was.

    The reader guesses types: a column of dates as text, or of numbers that are all missing, may come back otherwise.
    """
    from datasets import load_dataset

    read = load_dataset("json", data_files={"split": str(path)}, split="split", cache_dir=str(cache))
    for number, (ours, theirs) in enumerate(zip(_plain(rows), _plain(read), strict=True), start=1):
        if ours != theirs:
            column = next(name for name in {**ours, **theirs} if ours.get(name, ...) != theirs.get(name, ...))
            raise RefusedError(
                f"{what}: column {column!r} of row {number} does not come back from JSON Lines as it was; map local "
                "data by hand"
            )


def _plain(rows: Any) -> Iterator[dict[str, Any]]:
    yield from rows
