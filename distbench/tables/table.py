"""What a tidy table is: named columns with a type and a meaning, and one row a thing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal

from distbench.schema.result import Estimate, Result

Kind = Literal["text", "number", "whole", "flag"]
Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A column. `meaning` gives its unit; a value that is not known is None, never 0."""

    name: str
    kind: Kind
    meaning: str


@dataclass(frozen=True)
class Table:
    """A table of a result. `one_row` says what a row is; `read` yields rows whose keys are the columns' names."""

    name: str
    one_row: str
    columns: tuple[Column, ...]
    read: Callable[[Result], Iterable[Row]]

    def rows(self, result: Result) -> list[Row]:
        """Return the rows; a table of which the result has nothing is empty."""
        return list(self.read(result))


def text(name: str, meaning: str) -> Column:
    """Return a column of texts, which may come from strangers."""
    return Column(name, "text", meaning)


def number(name: str, meaning: str) -> Column:
    """Return a column of real numbers."""
    return Column(name, "number", meaning)


def whole(name: str, meaning: str) -> Column:
    """Return a column of whole numbers."""
    return Column(name, "whole", meaning)


def flag(name: str, meaning: str) -> Column:
    """Return a column of yes and no."""
    return Column(name, "flag", meaning)


def estimated(name: str, meaning: str) -> tuple[Column, ...]:
    """Return the columns of a number with its interval; `spread` fills them."""
    return (
        number(name, meaning),
        number(f"{name}_lo", f"lower limit of {name}; empty where there is none or it is unbounded"),
        number(f"{name}_hi", f"upper limit of {name}; empty where there is none or it is unbounded"),
        text(f"{name}_reason", f"why {name} or a limit of it is empty"),
    )


def spread(name: str, found: Estimate | None, otherwise: str) -> Row:
    """Return an estimate as the values of its columns; `otherwise` is the reason where there is none at all."""
    if found is None:
        return {name: None, f"{name}_lo": None, f"{name}_hi": None, f"{name}_reason": otherwise}
    reason = found.reason
    if reason is None and found.value is None:
        reason = "not computed" if found.status == "ok" else found.status.replace("_", " ")
    return {name: found.value, f"{name}_lo": found.lo, f"{name}_hi": found.hi, f"{name}_reason": reason}
