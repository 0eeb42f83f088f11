"""A table that fits its terminal: numbers never break; what does not fit goes below, is left out, or becomes a list."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from distbench.report import words
from distbench.report.numbers import DASH, Shown
from distbench.report.visible import one_line
from distbench.schema.estimate import Verdict

LONGEST_NAME = 60
COLOURS = {"pass": "green", "fail": "red", "undecided": "yellow", "neutral": "bright_black"}
_NARROWEST, _COMFORTABLE = 14, 24  # columns of text: before an interval goes below its number they keep more room
_GAP = 2

Cell = str | Text | Shown


@dataclass(frozen=True)
class Column:
    """A column. `number`: it stands to the right and never breaks. `drop`: left out where there is no room, the largest
    first; 0: never. A column with nothing in any row is left out too, unless it is never."""

    title: str
    number: bool = False
    drop: int = 0


@dataclass(frozen=True)
class Row:
    """One row. `group`: a heading that rows after it share, up to the next."""

    cells: Sequence[Cell]
    style: str = ""
    group: str | None = None


@dataclass
class Grid:
    """Columns and rows. The first columns say what a row is; as a list, they are its heading."""

    columns: Sequence[Column]
    rows: Sequence[Row]
    title: str | None = None
    names: int = 1
    kept: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.kept = [
            place
            for place, column in enumerate(self.columns)
            if not column.drop or any(not _missing(row.cells[place]) for row in self.rows)
        ]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(self.title, style="dim")
        room = options.max_width
        kept, stacked = list(self.kept), False
        while not self._fits(kept, room, stacked=stacked):
            droppable = [place for place in kept if self.columns[place].drop]
            if not stacked:
                stacked = True
            elif droppable:
                kept.remove(max(droppable, key=lambda place: self.columns[place].drop))
            else:
                yield from self._list()
                return
        yield from self._tables(kept, self._widths(kept, room, stacked=stacked), stacked=stacked)

    def _fits(self, kept: Sequence[int], room: int, *, stacked: bool) -> bool:
        return sum(self._narrowest(place, stacked=stacked) for place in kept) + _GAP * (len(kept) - 1) <= room

    def _narrowest(self, place: int, *, stacked: bool) -> int:
        natural = self._natural(place, stacked=stacked)
        return natural if self.columns[place].number else min(natural, _NARROWEST if stacked else _COMFORTABLE)

    def _natural(self, place: int, *, stacked: bool) -> int:
        texts = [_text(row.cells[place], stacked=stacked).plain for row in self.rows]
        lines = [line for text in texts for line in text.split("\n")]
        return max(map(cell_len, (self.columns[place].title, *lines)))

    def _widths(self, kept: Sequence[int], room: int, *, stacked: bool) -> dict[int, int]:
        """Share what room is left among the columns that could use it, the least needy first."""
        widths = {place: self._narrowest(place, stacked=stacked) for place in kept}
        wanted = {place: self._natural(place, stacked=stacked) - width for place, width in widths.items()}
        left = room - sum(widths.values()) - _GAP * (len(kept) - 1)
        needy = sorted((place for place in kept if wanted[place] > 0), key=lambda place: wanted[place])
        for number, place in enumerate(needy):
            more = min(wanted[place], left // (len(needy) - number))
            widths[place] += more
            left -= more
        return widths

    def _tables(self, kept: Sequence[int], widths: dict[int, int], *, stacked: bool) -> Iterator[Table | Text]:
        groups = list(_grouped(self.rows))
        whole = [group for group, _ in groups] == [None]  # else the headings stand once, above every group
        if not whole:
            yield self._table(kept, widths, header=True)
        for group, rows in groups:
            table = self._table(kept, widths, header=whole)
            if group is not None:
                yield Text(group, style="bold")
            for row in rows:
                cells = (self._cell(row, place, widths[place], stacked=stacked) for place in kept)
                table.add_row(*cells, style=row.style)
            yield table

    def _cell(self, row: Row, place: int, width: int, *, stacked: bool) -> Text:
        text = _text(row.cells[place], stacked=stacked)
        return text if self.columns[place].number or text.spans else Text(broken(text.plain, width), text.style)

    def _table(self, kept: Sequence[int], widths: dict[int, int], *, header: bool) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_header=header, show_edge=False, padding=(0, 1, 0, 0), pad_edge=False)
        for place in kept:
            column = self.columns[place]
            table.add_column(
                Text(column.title),
                justify="right" if column.number else "left",
                no_wrap=column.number,
                overflow="crop" if column.number else "fold",
                width=widths[place],
            )
        return table

    def _list(self) -> Iterator[Text | Padding]:
        """Return every row as a heading and a line for each number: for a terminal that is narrower than any table."""
        for group, rows in _grouped(self.rows):
            if group is not None:
                yield Text(group, style="bold")
            for row in rows:
                texts = [Text(" ").join(_text(cell, stacked=False).split("\n")) for cell in row.cells]
                yield Text("  ").join(texts[: self.names])
                for place in self.kept:
                    if place >= self.names and not _missing(row.cells[place]):
                        yield Padding(Text(f"{self.columns[place].title}: ").append_text(texts[place]), (0, 0, 0, 2))


def _grouped(rows: Sequence[Row]) -> Iterator[tuple[str | None, list[Row]]]:
    group: str | None = None
    found: list[Row] = []
    for row in rows:
        if row.group is not None and row.group != group:
            if found:
                yield group, found
            group, found = row.group, []
        found.append(row)
    if found:
        yield group, found


def _text(cell: Cell, *, stacked: bool) -> Text:
    if isinstance(cell, Text):
        return cell.copy()
    if isinstance(cell, Shown):
        shown = cell.brief
        value = DASH if shown.missing and shown.text.startswith(DASH) else shown.text
        return Text(f"{value}{chr(10) if stacked else ' '}{shown.interval}".rstrip())
    return Text(cell)


def _missing(cell: Cell) -> bool:
    return cell.missing if isinstance(cell, Shown) else not str(cell) or str(cell) == DASH


def broken(text: str, width: int) -> str:
    """Return a text in lines of at most `width` cells, an identifier broken after its separators where it can be."""
    lines = []
    for line in text.split("\n"):
        filled = ""
        for part in re.findall(r"\s+|[^\s_/.:-]*[_/.:-]+|[^\s_/.:-]+", line):
            if filled.strip() and cell_len(filled + part.rstrip()) > width:
                lines.append(filled.rstrip())
                filled = ""
            filled += part if filled or not lines else part.lstrip()
        lines.append(filled.rstrip())
    return "\n".join(lines)


def verdict_cell(verdict: Verdict) -> Text:
    """Return a verdict as its glyph and word, in its colour."""
    found = words.VERDICTS[verdict]
    return Text(f"{found.glyph} {found.word}", style=COLOURS[found.tone])


def name(text: str) -> str:
    """Return a foreign name on one line."""
    return one_line(text, LONGEST_NAME)
