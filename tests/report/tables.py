"""Tables as a reader sees them: read off a page, and the number behind a text such as “96.8 %” or “1.34×”."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

_UNITS = {
    "": 1.0, "×": 1.0, "%": 0.01, "nats": 1.0, "points": 0.01,
    "ns": 1e-9, "µs": 1e-6, "ms": 1e-3, "s": 1.0,
    "B": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "kB/token": 1e3, "B/token": 1.0, "MB/token": 1e6,
    "k": 1e3, "M": 1e6, "J/token": 1.0, "tokens/s": 1.0,
}  # fmt: skip
_NUMBER = re.compile(r"[+−-]?\d[\d,]*(?:\.\d+)?")

# Every table with an id: its headings, and its rows of [text, unrounded number or null] a cell.
READ = """() => Object.fromEntries([...document.querySelectorAll('main table[id]')].map((table) => [table.id, {
  heads: [...table.tHead.rows[0].cells].map((cell) => cell.innerText.replace(/[↕▲▼\\u00a0]+$/, '').trim()),
  rows: [...table.querySelectorAll('tbody tr:not(.why)')].map((row) => [...row.cells].map((cell) => {
    const shown = cell.querySelector(':scope > .number');
    const text = (shown ? shown : cell).innerText.replace(/\\u00a0/g, ' ').trim();
    return [text, cell.dataset.sort === undefined || cell.dataset.sort === '' ? null : Number(cell.dataset.sort)];
  })),
}]))"""


@dataclass(frozen=True)
class Read:
    """A number as it is printed, in base units (shares, seconds, bytes), and half a unit of its last digit."""

    value: float
    slack: float


def number(text: str) -> Read | None:
    """Return the first number of a text with its unit; None where it has none (a dash)."""
    found = _NUMBER.search(text)
    if found is None or text.startswith("—"):
        return None
    digits = found[0].replace(",", "").replace("−", "-")
    rest = text[found.end() :].split("[", maxsplit=1)[0].split("≤", maxsplit=1)[0].strip()
    unit = _UNITS[rest.split(" ")[0]]
    places = len(digits.split(".")[1]) if "." in digits else 0
    return Read(float(digits) * unit, 0.5 * 10.0**-places * unit * (1 + 1e-9))


def shows(cell: list[Any], expected: float | None, scale: float = 1.0) -> None:
    """Assert that a cell shows a number: unrounded in its sort value, and rounded in its text.

    scale: from the unit of the sort value to base units (ms: 0.001).
    """
    text, behind = cell
    if expected is None:
        assert behind is None, cell
        assert text.startswith("—") or text == "from the cache", cell
        return
    assert behind is not None, (cell, expected)
    assert abs(behind - expected) <= 1e-12 * max(1.0, abs(expected)), (cell, expected)
    read = number(text)
    assert read is not None, (cell, expected)
    assert abs(read.value - expected * scale) <= read.slack + 1e-12, (cell, expected)
