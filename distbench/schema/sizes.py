"""Amounts of memory as a person writes them: `8GiB`, `1.5 GB`, `512MiB`."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import StringConstraints

SIZE_PATTERN = r"^\d{1,6}(\.\d{1,3})? ?[KMGT]i?B$"
SIZE_WORDS = "an amount of memory such as 8GiB or 512MiB (KiB, MiB, GiB, TiB; KB, MB, GB, TB)"
Size = Annotated[str, StringConstraints(pattern=SIZE_PATTERN)]
_PARTS = re.compile(r"(?P<number>[\d.]+) ?(?P<prefix>[KMGT])(?P<binary>i?)B")


def size_bytes(size: Size) -> int:
    """Return the bytes of a valid size."""
    found = _PARTS.fullmatch(size)
    assert found is not None, "its pattern was checked"
    base = 1024 if found["binary"] else 1000
    return int(float(found["number"]) * base ** ("KMGT".index(found["prefix"]) + 1))


def size_words(count: float) -> str:
    """Return bytes in words: 1610612736 is "1.5 GiB"."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
