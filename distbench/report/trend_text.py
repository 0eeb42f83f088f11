"""A trend over releases for a terminal."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from distbench.report import numbers
from distbench.report import trend as wording
from distbench.report.terminal.grid import Cell, Column, Grid, Row, name, verdict_cell
from distbench.report.visible import one_line
from distbench.schema.trend import Trend


def terminal_trend(trend: Trend) -> list[RenderableType]:
    """Return a table with the releases of each student below each other, and the remarks; the caller prints them."""
    columns = [
        Column("Release"),
        Column("Date", drop=3),
        Column("Verdict"),
        Column("Retained", number=True),
        Column("Change", number=True),
        Column("Step", drop=1),
        Column("Faster", number=True, drop=2),
        Column("Smaller", number=True, drop=4),
        Column("Model", drop=5),
    ]
    rows = []
    for line in wording.shown(trend):
        for release, point in zip(trend.releases, line.points, strict=True):
            cells: list[Cell] = [
                name(release.label),
                wording.when(release),
                Text(numbers.DASH) if point is None else verdict_cell(point.verdict),
                wording.retained(trend, point),
                wording.change(point),
                wording.step(point),
                wording.ratio(point, point.speedup if point else None),
                wording.smaller(point),
                wording.model_words(point),
            ]
            group = name(line.label) + (" (control)" if line.role == "control" else "")
            rows.append(Row(cells, "dim" if line.role == "control" else "", group=group))
    level = numbers.whole_percent(1 - trend.alpha)
    title = (
        f"Releases in the order {'of their dates' if trend.order == 'created_at' else 'given'}; intervals at {level}"
    )
    said = [Text(one_line(f"{who}: {text}", 400)) for who, text in wording.remarks(trend)]
    notes = [Text(one_line(note, 400), style="yellow") for note in trend.notes]
    last = Text(one_line(wording.headline(trend), 400), style="bold")
    return [Grid(columns, rows, title, names=2), Text(), Group(*said, *notes, last)]
