"""How times spread: percentiles of the teacher and of each student, as far as the samples can bound them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import plotly.graph_objects as go

from distbench.report import numbers
from distbench.report.figures import frame
from distbench.report.figures.rows import marker
from distbench.report.measured import MS, Spread
from distbench.report.theme import LIGHT, colour
from distbench.report.view import View
from distbench.report.visible import plot_text

_PAD = 0.06


def spread_lines(view: View, spreads: Sequence[Spread]) -> go.Figure:
    """Draw time (x) against percentile (y), a line a model; the bar to the right ends at the upper bound.

    spreads: those of one measure. A percentile that the sample cannot bound is no point; the teacher is grey.
    """
    levels = [each.percent for each in spreads[0].facts]
    reach = [
        value for each in spreads for fact in each.facts for value in (fact.value, fact.upper) if value is not None
    ]
    low, high = min(reach), max(reach)
    pad = (high - low or high) * _PAD
    traces = [_line(view, each, levels) for each in spreads]
    along = frame.axis("ms; left is faster", range=[max(0.0, low - pad), high + pad], nticks=6)
    up = frame.axis(
        "",
        tickvals=list(range(len(levels))),
        ticktext=[f"p{level:g}" for level in levels],
        range=[-0.4, len(levels) - 0.6],
    )
    return frame.figure(traces, height=280, margin={"l": 48, "r": 14, "t": 8, "b": 52}, xaxis=along, yaxis=up)


def _line(view: View, spread: Spread, levels: Sequence[float]) -> go.Scatter:
    student = spread.student
    dash = "solid" if student is None or student.role != "control" else "dot"
    return go.Scatter(
        **bounded(view, spread, levels.index),
        mode="lines+markers",
        line={"color": paint_of(view, spread), "width": 1.6, "dash": dash},
    )


def paint_of(view: View, spread: Spread) -> str:
    """Return a model's colour; the teacher is grey."""
    return LIGHT["muted"] if spread.student is None else colour(view.slots[spread.student.name])


def bounded(view: View, spread: Spread, height: Callable[[float], float]) -> dict[str, Any]:
    """Return what a trace of a model's known percentiles holds: where, up to which bound, its mark and what it says.

    height: of a percentile on the vertical axis.
    """
    student, paint = spread.student, paint_of(view, spread)
    known = [fact for fact in spread.facts if fact.value is not None]
    mark: dict[str, Any] = {"size": 8, "color": LIGHT["bg"], "line": {"color": paint, "width": 2}}
    if student is not None:
        mark = marker(view, student, hollow=student.role == "control", size=9)
    bars = [(fact.value or 0.0, fact.value, fact.value if fact.upper is None else fact.upper) for fact in known]
    return {
        "x": [fact.value for fact in known],
        "y": [height(fact.percent) for fact in known],
        "error_x": {**frame.error_bar(bars, paint, (0, 0)), "width": 3},
        "name": plot_text(spread.label),
        "meta": None if student is None else student.name,
        "marker": mark,
        "hoverinfo": "text",
        "hovertext": [
            frame.hover(
                plot_text(spread.label, 60),
                f"p{fact.percent:g}: {numbers.duration((fact.value or 0.0) * MS)}",
                None if fact.upper is None else f"at most {numbers.duration(fact.upper * MS)}",
                numbers.items(fact.n),
            )
            for fact in known
        ],
    }
