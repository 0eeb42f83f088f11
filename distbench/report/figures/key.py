"""The key chart: what each student keeps against what it saves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from distbench.report import numbers, words
from distbench.report.figures import frame, labels
from distbench.report.figures.labels import Box, Place
from distbench.report.figures.pareto import front
from distbench.report.figures.trade import Axis, Point, gate_line, off_range, points, window
from distbench.report.theme import LIGHT, colour, symbol
from distbench.report.view import View
from distbench.report.visible import plot_text

HEIGHT = 430
_WIDTH = 780  # labels are placed for a plot area of this width; most screens have more
_TOP, _BOTTOM, _LEFT, _RIGHT = 14, 58, 68, 92
_LABEL_ALL = 8
_TEACHER = "teacher"


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
    full = frame.plain_json(_draw(view, x_axis, every)) if off else None
    return KeyChart(x_axis, frame.plain_json(_draw(view, x_axis, near)), full, off, len(near))


def frontier(view: View, shown: Sequence[Point]) -> list[tuple[float, float]]:
    """Return the Pareto front of teacher and students, from left to right. Controls are not candidates."""
    known = {point.student.name: (point.x, point.y) for point in shown if not point.control}
    known[f"{_TEACHER}\0"] = (1.0, 1.0)  # no student can have this name
    return [known[name] for name in front(known)]


def _draw(view: View, x_axis: Axis, shown: Sequence[Point]) -> go.Figure:
    height = HEIGHT - _TOP - _BOTTOM
    low, high = window(view, shown, height)
    reach = [x for point in shown for x in (point.x, *point.x_interval) if x is not None]
    along = frame.ratio_axis(x_axis.title, reach, pad=1.15)
    x_range = (10 ** along["range"][0], 10 ** along["range"][1])
    shapes, notes = _guides(view, x_axis, (low, high), x_range)
    traces = [_front_trace(view, shown), *_links(shown), *_marks(view, x_axis, shown, (low, high), x_range), _teacher()]
    notes += _label_notes(view, shown, (low, high), x_range)
    return frame.figure(
        traces,
        height=HEIGHT,
        margin={"l": _LEFT, "r": _RIGHT, "t": _TOP, "b": _BOTTOM},
        xaxis=along,
        yaxis=frame.axis(
            "Retained: share of the teacher's skill",
            range=[low * 100, high * 100],
            ticksuffix=" %",
            nticks=8,
        ),
        shapes=shapes,
        annotations=notes,
    )


def _front_trace(view: View, shown: Sequence[Point]) -> go.Scatter:
    steps = frontier(view, shown)
    return go.Scatter(
        x=[x for x, _ in steps],
        y=[y * 100 for _, y in steps],
        mode="lines",
        name="Pareto front",
        line={"shape": "vh", "color": LIGHT["muted"], "width": 1.6, "dash": "dash"},
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


def _marks(
    view: View, x_axis: Axis, shown: Sequence[Point], y_edge: tuple[float, float], x_edge: tuple[float, float]
) -> list[go.Scatter]:
    found = []
    for point in sorted(shown, key=lambda point: not point.control):
        slot = view.slots[point.student.name]
        paint = colour(slot)
        fill = LIGHT["bg"] if point.control else paint
        y_rows = [(point.y * 100, *(None if limit is None else limit * 100 for limit in point.y_interval))]
        bars = {"error_y": frame.error_bar(y_rows, paint, (y_edge[0] * 100, y_edge[1] * 100))}
        if any(limit != point.x for limit in point.x_interval):
            bars["error_x"] = frame.error_bar([(point.x, *point.x_interval)], paint, x_edge)
        found.append(
            go.Scatter(
                x=[point.x],
                y=[point.y * 100],
                mode="markers",
                name=plot_text(point.student.label),
                meta=point.student.name,
                marker={"symbol": symbol(slot), "size": 12, "color": fill, "line": {"color": paint, "width": 2}},
                hoverinfo="text",
                hovertext=[_hover(view, x_axis, point)],
                **bars,
            )
        )
    return found


def _hover(view: View, x_axis: Axis, point: Point) -> str:
    verdict = words.VERDICTS[point.student.verdict]
    role = "no-teacher control" if point.control else f"{verdict.glyph} {verdict.word}"
    retained = view.retained(point.student)
    return frame.hover(
        f"<b>{plot_text(point.student.label, 60)}</b>",
        role,
        f"retained {retained}",
        f"{plot_text(x_axis.label, 60)}: {numbers.ratio(point.x)}",
    )


def _teacher() -> go.Scatter:
    return go.Scatter(
        x=[1],
        y=[100],
        mode="markers",
        name=_TEACHER,
        marker={"symbol": "asterisk-open", "size": 13, "color": LIGHT["ink"], "line": {"width": 2}},
        hoverinfo="text",
        hovertext=["<b>the teacher</b><br>100 % by definition"],
    )


def _guides(
    view: View, x_axis: Axis, y_edge: tuple[float, float], x_edge: tuple[float, float]
) -> tuple[list[frame.Drawn], list[frame.Drawn]]:
    """Return the gate, shaded on its failing side, and the reference lines with their words at the right edge."""
    gate = view.threshold("retained")
    shapes, notes = [], []
    if gate is not None:
        shapes.append(frame.band(y_edge[0] * 100, gate * 100, "y", LIGHT["shade"]))
    if x_axis.threshold is not None and x_axis.threshold > x_edge[0]:
        shapes.append(frame.band(x_edge[0], min(x_axis.threshold, x_edge[1]), "x", LIGHT["shade"]))
        shapes.append(frame.rule(x_axis.threshold, "x", LIGHT["fail"]))
    lines = {0.90: "90 %", 0.95: "95 %", 0.99: "99 %", 1.0: "teacher"}
    if gate is not None:
        lines[gate] = f"gate {numbers.whole_percent(gate)}"
    gap = (y_edge[1] - y_edge[0]) * 15 / (HEIGHT - _TOP - _BOTTOM)
    kept = [1.0, *([] if gate is None else [gate])]
    for at, text in lines.items():
        if not y_edge[0] < at < y_edge[1]:
            continue
        is_gate = at == gate
        paint = LIGHT["fail"] if is_gate else LIGHT["muted"]
        shapes.append(frame.rule(at * 100, "y", paint, "solid" if at in kept else "dash", 1.4 if is_gate else 0.8))
        if at in kept or all(abs(at - other) > gap for other in kept):
            notes.append(_edge_note(at * 100, text, paint))
    return shapes, notes


def _edge_note(y: float, text: str, paint: str) -> frame.Drawn:
    return {
        "xref": "x domain",
        "yref": "y",
        "x": 1,
        "y": y,
        "xanchor": "left",
        "yanchor": "middle",
        "xshift": 6,
        "text": text,
        "showarrow": False,
        "font": {"size": 12, "color": paint},
    }


def _label_notes(
    view: View, shown: Sequence[Point], y_edge: tuple[float, float], x_edge: tuple[float, float]
) -> list[frame.Drawn]:
    """Label what matters and fits: the recommended student, the passing front, then the rest where they are few."""
    height = HEIGHT - _TOP - _BOTTOM

    def pixels(x: float, y: float) -> tuple[float, float]:
        across = math.log(x / x_edge[0]) / math.log(x_edge[1] / x_edge[0]) * _WIDTH
        return across, (y_edge[1] - y) / (y_edge[1] - y_edge[0]) * height

    on_front = set(frontier(view, shown))
    ranked = sorted(shown, key=lambda point: _importance(view, point, on_front))
    if len(shown) > _LABEL_ALL:
        ranked = [point for point in ranked if _importance(view, point, on_front) <= 1]
    obstacles = [_around(*pixels(1.0, 1.0))]
    for point in shown:
        x, y = pixels(point.x, point.y)
        ends = [y if limit is None else pixels(point.x, limit)[1] for limit in point.y_interval]
        obstacles += [_around(x, y), Box(x - 4, min(ends), x + 4, max(ends))]
    texts = [(plot_text(point.student.label, 26), *pixels(point.x, point.y)) for point in ranked]
    places = labels.place(texts, obstacles, Box(0, 0, _WIDTH, height))
    return [
        _label(point, text, at)
        for point, (text, _, _), at in zip(ranked, texts, places, strict=True)
        if at is not None
    ]


def _importance(view: View, point: Point, on_front: set[tuple[float, float]]) -> int:
    if point.student is view.recommended:
        return 0
    if point.control:
        return 4
    failing = point.student.verdict in {"FAIL", "INVALID"}
    return 1 if not failing and (point.x, point.y) in on_front else 2 if not failing else 3


def _around(x: float, y: float) -> Box:
    return Box(x - 8, y - 8, x + 8, y + 8)


def _label(point: Point, text: str, at: Place) -> frame.Drawn:
    return {
        "x": math.log10(point.x),
        "y": point.y * 100,
        "text": text,
        "showarrow": False,
        "xanchor": at.xanchor,
        "yanchor": at.yanchor,
        "xshift": at.xshift,
        "yshift": at.yshift,
        "font": {"size": 12, "color": LIGHT["muted"] if point.control else LIGHT["ink"]},
    }
