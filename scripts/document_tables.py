"""Write the columns of the tidy tables into docs/python.md, between the two marks. Run after a column was added.

python scripts/document_tables.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from distbench.api.samples import COLUMNS
from distbench.tables import TABLES, Column

PAGE = Path(__file__).parents[1] / "docs" / "python.md"
START, END = "<!-- tables -->\n", "<!-- end of tables -->\n"
TYPES = {"text": "text", "number": "number", "whole": "whole number", "flag": "yes or no"}
PARTS = ("_lo", "_hi", "_reason")


def described() -> str:
    """Return the Markdown of all tables."""
    parts = [_table(name, table.one_row, table.columns) for name, table in TABLES.items()]
    parts.append(_table("samples", "a sample of a student and its teacher", COLUMNS, call="samples()"))
    return "\n".join(parts)


def _table(name: str, one_row: str, columns: tuple[Column, ...], call: str = "") -> str:
    head = f"### `{call or name}`\n\nOne row: {one_row}.\n\n| column | type | meaning |\n|---|---|---|\n"
    return head + "".join(_rows(columns))


def _rows(columns: tuple[Column, ...]) -> Iterator[str]:
    names = {column.name for column in columns}
    estimates = {name for name in names if all(f"{name}{part}" in names for part in PARTS)}
    for column in columns:
        base, part = next(
            ((column.name.removesuffix(part), part) for part in PARTS if column.name.endswith(part)), ("", "")
        )
        if base in estimates and part:
            continue
        more = " [lo, hi, reason]" if column.name in estimates else ""
        meaning = column.meaning.replace("|", "\\|")
        yield f"| `{column.name}`{more} | {TYPES[column.kind]} | {meaning} |\n"


def main() -> None:
    """Rewrite the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, rest = text.split(START)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{START}\n{described()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
