"""Facts by name, one a line; what is not known says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from distbench.report.visible import one_line

_LONG = 400
_NARROW = 50


@dataclass(frozen=True)
class Fact:
    """A fact in words. None: nobody recorded it."""

    name: str
    said: str | None


def fact_lines(facts: Sequence[Fact]) -> list[RenderableType]:
    """Return the facts as two columns."""
    return [_Facts(facts)]


@dataclass(frozen=True)
class _Facts:
    facts: Sequence[Fact]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if options.max_width < _NARROW:
            for fact in self.facts:
                yield Text.assemble((f"{fact.name}: ", "dim"), _said(fact))
            return
        table = Table.grid(padding=(0, 2, 0, 0))
        table.add_column(style="dim", max_width=max(20, options.max_width // 3))
        table.add_column(overflow="fold")
        for fact in self.facts:
            table.add_row(fact.name, _said(fact))
        yield table


def _said(fact: Fact) -> Text:
    return Text("not known", style="dim") if fact.said is None else Text(one_line(fact.said, _LONG))
