"""The guides of the key chart: gate and reference lines, and the names of the marks that matter."""

from __future__ import annotations

import math
from itertools import pairwise

from distbench.report import numbers
from distbench.report.figures import frame, labels
from distbench.report.figures.labels import Box, Place
from distbench.report.figures.plane import PLOT_HEIGHT, PLOT_WIDTHS, Plane
from distbench.report.figures.trade import Point
from distbench.report.theme import LIGHT
from distbench.report.visible import one_line, plot_text

_LABEL_ALL = 8
_LONGEST = 44
_REFERENCES = {90.0: "90 %", 95.0: "95 %", 99.0: "99 %", 100.0: "teacher 100 %"}


def reference_lines(plane: Plane) -> dict[float, str]:
    """Return the horizontal lines inside the window, in per cent, with their words; the gate wins over a reference."""
    gate = plane.view.threshold("retained")
    lines = dict(_REFERENCES) if gate is None else _REFERENCES | {gate * 100: f"gate {numbers.whole_percent(gate)}"}
    low, high = plane.y_edge
    return {at: words for at, words in lines.items() if low < at < high}


def guides(plane: Plane) -> tuple[list[frame.Drawn], list[frame.Drawn]]:
    """Return shapes and notes: the failing side of each gate shaded, and every line named at its end."""
    gate, limit = plane.view.threshold("retained"), plane.axis.threshold
    shapes, notes = [], []
    if gate is not None:
        shapes.append(frame.band(plane.y_edge[0], min(gate * 100, plane.y_edge[1]), "y", LIGHT["shade"]))
    if limit is not None and plane.x_edge[0] < limit < plane.x_edge[1]:
        shapes.append(frame.band(plane.x_edge[0], limit, "x", LIGHT["shade"]))
        shapes.append(frame.rule(limit, "x", plane.y_edge, LIGHT["fail"]))
        notes.append(
            _foot_note(
                limit,
                f"gate {numbers.whole_ratio(limit)}",
                left=plane.pixels(limit, 100.0, PLOT_WIDTHS["narrow"])[0] > 70,
            )
        )
    lines = reference_lines(plane)
    gap = (plane.y_edge[1] - plane.y_edge[0]) * 15 / PLOT_HEIGHT
    strong = [100.0, *([] if gate is None else [gate * 100])]
    for at, words in lines.items():
        is_gate = gate is not None and at == gate * 100
        paint = LIGHT["fail"] if is_gate else LIGHT["guide"]
        shapes.append(frame.rule(at, "y", plane.x_edge, paint, "solid" if at in strong else "dot"))
        if at in strong or all(abs(at - other) > gap for other in strong):
            notes.append(_edge_note(at, words, LIGHT["fail"] if is_gate else LIGHT["muted"]))
    return shapes, notes


def names(plane: Plane) -> list[frame.Drawn]:
    """Name what matters and fits: the recommended student, the passing front, then the rest where they are few."""
    ranked = sorted(plane.shown, key=lambda point: _importance(plane, point))
    if len(ranked) > _LABEL_ALL:
        ranked = [point for point in ranked if _importance(plane, point) <= 1]
    found = []
    for which, width in PLOT_WIDTHS.items():
        texts = [
            (one_line(point.student.label, _LONGEST), *plane.pixels(point.x, point.y * 100, width)) for point in ranked
        ]
        places = labels.place(texts, _marks(plane, width), _lines(plane, width), Box(0, 0, width, PLOT_HEIGHT))
        found += [_name(point, at, which) for point, at in zip(ranked, places, strict=True) if at is not None]
    return found


def _importance(plane: Plane, point: Point) -> int:
    if point.student is plane.view.recommended:
        return 0
    if point.control:
        return 4
    if point.student.verdict in {"FAIL", "INVALID"}:
        return 3
    return 1 if (point.x, point.y * 100) in plane.frontier else 2


def _marks(plane: Plane, width: float) -> list[Box]:
    """Return what a name must not cover: marks and error bars."""
    found = [_around(*plane.pixels(1.0, 100.0, width))]
    for point in plane.shown:
        x, y = plane.pixels(point.x, point.y * 100, width)
        lo, hi = point.y_interval
        bottom = PLOT_HEIGHT if lo is None else plane.pixels(point.x, lo * 100, width)[1]
        top = 0.0 if hi is None else plane.pixels(point.x, hi * 100, width)[1]
        found += [_around(x, y), Box(x - 4, top, x + 4, bottom)]
    return found


def _lines(plane: Plane, width: float) -> list[Box]:
    """Return what a name should not cross: the front, the gates and the reference lines."""
    found = []
    corners = [plane.pixels(*step, width) for step in plane.frontier]
    for (x0, y0), (x1, y1) in pairwise(corners):
        found += [Box(x0 - 1, y0, x0 + 1, y1), Box(x0, y1 - 1, x1, y1 + 1)]
    if plane.axis.threshold is not None and plane.axis.threshold > plane.x_edge[0]:
        x = plane.pixels(plane.axis.threshold, 100.0, width)[0]
        found.append(Box(x - 1, 0, x + 1, PLOT_HEIGHT))
    for at in reference_lines(plane):
        y = plane.pixels(1.0, at, width)[1]
        found.append(Box(0, y - 1, width, y + 1))
    return found


def _around(x: float, y: float) -> Box:
    return Box(x - 9, y - 9, x + 9, y + 9)


def _name(point: Point, at: Place, which: str) -> frame.Drawn:
    return {
        "name": which,
        "x": math.log10(point.x),
        "y": point.y * 100,
        "text": plot_text(point.student.label, _LONGEST),
        "hovertext": point.student.name,  # whose name it is: the page drops it with its student; no one hovers it
        "captureevents": False,
        "showarrow": False,
        "xanchor": at.xanchor,
        "yanchor": at.yanchor,
        "xshift": at.xshift,
        "yshift": at.yshift,
        "font": {"size": 12, "color": LIGHT["muted"] if point.control else LIGHT["ink"]},
    }


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


def _foot_note(x: float, text: str, *, left: bool) -> frame.Drawn:
    return {
        "xref": "x",
        "yref": "y domain",
        "x": math.log10(x),
        "y": 0,
        "xanchor": "right" if left else "left",
        "yanchor": "bottom",
        "xshift": -4 if left else 4,
        "text": text,
        "showarrow": False,
        "font": {"size": 12, "color": LIGHT["fail"]},
    }
