"""The key chart: what each student keeps against what it saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from distbench.report import numbers, words
from distbench.report.figures import frame
from distbench.report.figures.guides import guides, names
from distbench.report.figures.marks import diameter, speedup
from distbench.report.figures.plane import HEIGHT, MARGIN, Plane
from distbench.report.figures.trade import Axis, Point, off_range, points
from distbench.report.theme import LIGHT, colour, symbol
from distbench.report.view import View
from distbench.report.visible import plot_text


@dataclass(frozen=True)
class KeyChart:
    """The chart for one axis: zoomed to the gate, and with every student where the zoom leaves some out."""

    axis: Axis
    near: frame.Drawn
    full: frame.Drawn | None
    off: list[Point]
    shown: int


def key_chart(view: View, x_axis: Axis) -> KeyChart:
    """Draw the chart for one axis."""
    every = points(view, x_axis)
    off = off_range(view, every)
    near = [point for point in every if point not in off]
    full = frame.plain_json(_draw(Plane(view, x_axis, every))) if off else None
    return KeyChart(x_axis, frame.plain_json(_draw(Plane(view, x_axis, near))), full, off, len(near))


def _draw(plane: Plane) -> go.Figure:
    shapes, notes = guides(plane)
    return frame.figure(
        [_front(plane), *_links(plane.shown), *_marks(plane), _teacher()],
        height=HEIGHT,
        margin=MARGIN,
        xaxis=plane.along,
        yaxis=frame.axis("Retained: share of the teacher's skill", range=list(plane.y_edge), ticksuffix=" %", nticks=8),
        shapes=shapes,
        annotations=[*notes, *names(plane)],
    )


def _front(plane: Plane) -> go.Scatter:
    return go.Scatter(
        x=[x for x, _ in plane.frontier],
        y=[y for _, y in plane.frontier],
        mode="lines",
        name="Pareto front",
        line={"shape": "vh", "color": LIGHT["muted"], "width": 1.8},
        hoverinfo="skip",
    )


def _links(shown: Sequence[Point]) -> list[go.Scatter]:
    by_name = {point.student.name: point for point in shown}
    pairs = [(point, by_name.get(point.student.control_of or "")) for point in shown if point.control]
    return [
        go.Scatter(
            x=[student.x, control.x],
            y=[student.y * 100, control.y * 100],
            mode="lines",
            name="student and its control",
            line={"color": LIGHT["muted"], "width": 1.4, "dash": "dot"},
            hoverinfo="skip",
        )
        for control, student in pairs
        if student
    ]


def _marks(plane: Plane) -> list[go.Scatter]:
    """Draw one trace a student, the controls first, so that students lie on top."""
    found = []
    for point in sorted(plane.shown, key=lambda point: not point.control):
        slot = plane.view.slots[point.student.name]
        paint = colour(slot)
        fill = LIGHT["bg"] if point.control else paint
        low, high = (None if limit is None else limit * 100 for limit in point.y_interval)
        bars = {"error_y": frame.error_bar([(point.y * 100, low, high)], paint, plane.y_edge)}
        if any(limit != point.x for limit in point.x_interval):
            bars["error_x"] = frame.error_bar([(point.x, *point.x_interval)], paint, plane.x_edge)
        found.append(
            go.Scatter(
                x=[point.x],
                y=[point.y * 100],
                mode="markers",
                name=plot_text(point.student.label),
                meta=point.student.name,
                marker={
                    "symbol": symbol(slot),
                    "size": diameter(plane.view, point.student),
                    "color": fill,
                    "line": {"color": paint, "width": 2},
                },
                hoverinfo="text",
                hovertext=[_hover(plane, point)],
                **bars,
            )
        )
    return found


def _hover(plane: Plane, point: Point) -> str:
    verdict = words.VERDICTS[point.student.verdict]
    faster = speedup(plane.view, point.student)
    role = f"{point.student.kind or 'no-teacher'} control" if point.control else f"{verdict.glyph} {verdict.word}"
    return frame.hover(
        plot_text(point.student.label, 60),
        role,
        f"retained {plane.view.retained(point.student)}",
        f"{plot_text(plane.axis.label, 60)}: {numbers.ratio(point.x)}",
        *([] if faster is None else [f"speed-up {numbers.ratio(faster)}"]),
    )


def _teacher() -> go.Scatter:
    return go.Scatter(
        x=[1],
        y=[100],
        mode="markers",
        name="teacher",
        marker={"symbol": "asterisk-open", "size": 13, "color": LIGHT["ink"], "line": {"width": 2}},
        hoverinfo="text",
        hovertext=["the teacher<br>100 % by definition"],
    )
