"""The chart of a diff: every change with its interval, against the band that counts as unchanged."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from distbench.report import changes, numbers
from distbench.report.changes import VERDICTS
from distbench.report.figures import frame
from distbench.report.figures.rows import row_layout
from distbench.report.numbers import Shown
from distbench.report.theme import LIGHT
from distbench.report.visible import plot_lines, plot_text
from distbench.schema.diff import ChangeVerdict, ModelChange
from distbench.schema.estimate import Estimate

_REACH = 0.3  # of an interval that is drawn: a wide one would squeeze all others
_SYMBOLS: dict[ChangeVerdict, str] = {
    "better": "triangle-right",
    "worse": "triangle-left",
    "unchanged": "circle",
    "cannot_be_told": "circle-open",
}


def change_rows(rows: Sequence[changes.Row], margin: float) -> go.Figure:
    """Draw the change of the mean score of each row, + to the right; bounded scores only share an axis."""
    labels = [f"{plot_text(row.task.task, 26)} · {plot_text(changes.name(row.model), 24)}" for row in rows]
    found = [(row.task.change, row.task.verdict, row.change) for row in rows]
    return _forest(labels, found, margin, "change of the score; right is better", 1.0)


def overall_rows(models: Sequence[ModelChange], margin: float) -> go.Figure:
    """Draw the change of what each student retains over all tasks, in points."""
    labels = [plot_lines(changes.name(model), 30) for model in models]
    found = [
        (model.retained_change, model.verdict, changes.points(model.retained_change))
        for model in models
        if model.retained_change is not None
    ]
    return _forest(labels, found, margin, "change in points; right is better", 100.0)


def _forest(
    labels: Sequence[str],
    found: Sequence[tuple[Estimate, ChangeVerdict, Shown]],
    margin: float,
    title: str,
    scale: float,
) -> go.Figure:
    reach = [
        min(abs(limit), abs(each.value) + _REACH) * scale
        for each, _, _ in found
        if each.value is not None
        for limit in (each.value, each.lo, each.hi)
        if limit is not None
    ]
    edge = max([margin * scale * 1.5, *reach]) * 1.08
    traces = []
    for row, ((estimate, verdict, shown), label) in enumerate(zip(found, labels, strict=True)):
        if estimate.value is None:
            continue
        paint = LIGHT[VERDICTS[verdict].tone]
        limits = [None if limit is None else limit * scale for limit in (estimate.lo, estimate.hi)]
        bar = frame.error_bar([(estimate.value * scale, limits[0], limits[1])], paint, (-edge, edge))
        traces.append(
            go.Scatter(
                x=[estimate.value * scale],
                y=[row],
                error_x=bar if None not in limits or estimate.status == "ok" else {},
                mode="markers",
                name=VERDICTS[verdict].word,
                marker={
                    "symbol": _SYMBOLS[verdict],
                    "size": 11,
                    "color": paint,
                    "line": {"color": paint, "width": 1.6},
                },
                hoverinfo="text",
                hovertext=[frame.hover(label, VERDICTS[verdict].word, plot_text(str(shown), 120))],
            )
        )
    span = (len(labels) - 0.5, -0.5)
    along = frame.axis(title, range=[-edge, edge], nticks=7)
    shapes = [
        frame.band(-margin * scale, margin * scale, "x", LIGHT["neutral-bg"]),
        frame.rule(0, "x", span, LIGHT["muted"]),
    ]
    return frame.figure(traces, **row_layout(labels, along, 26, shapes=shapes))


def drawable(rows: Sequence[changes.Row]) -> list[changes.Row]:
    """Return the rows whose scores share an axis: between 0 and 1, with a change that is not an exact nothing."""
    return [
        row
        for row in rows
        if row.task.change.value is not None
        and row.task.basis != "identical"
        and all(score is None or 0 <= score <= 1 for score in (row.task.score_a, row.task.score_b))
    ]


def note(left_out: int) -> str:
    """Say how many rows of the table are not in the chart."""
    return f"{numbers.count(left_out)} more rows are in the table only." if left_out else ""
