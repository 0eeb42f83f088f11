"""The key chart as one SVG text, drawn without a browser and without plotly: for a README, an e-mail, a print.

It shows what the page's chart shows, from the same points, window, Pareto front and places of names.
"""

from __future__ import annotations

import math
from itertools import pairwise

from distbench.report import numbers, words
from distbench.report.figures import guides
from distbench.report.figures.marks import PLAIN, diameter, legend
from distbench.report.figures.plane import HEIGHT, MARGIN, PLOT_HEIGHT, PLOT_WIDTHS, Plane
from distbench.report.figures.trade import Axis, Point, axes, off_range, points
from distbench.report.svg import FONT, Scheme, element, escaped, short, style
from distbench.report.svg import words as text_at
from distbench.report.theme import COLOURS, GLYPHS, LIGHT, symbol
from distbench.report.view import View
from distbench.report.visible import one_line

NAMES = "middle"  # the set of places for names that fits this width
PLOT_WIDTH = PLOT_WIDTHS[NAMES]
WIDTH = PLOT_WIDTH + MARGIN["l"] + MARGIN["r"]
FOOT = 44
_CAP = 4.0
_MOST_DESCRIBED = 12
_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100)  # percentage points between ticks
_TEACHER = "M-6 0H6M0-6V6M-4.3-4.3L4.3 4.3M-4.3 4.3L4.3-4.3"


def key_svg(view: View, scheme: Scheme = "auto") -> str:
    """Return the key chart (about 3 to 6 KB): retained % with intervals against compression, log2 axis.

    A result without a student that has both a retained share and a size gives a chart that says so.
    """
    found = axes(view)
    if not found or not points(view, found[0]):
        return _frame(view, scheme, "No student has both a retained share and a size.", [_nothing()], slots=[])
    plane, off = static_plane(view, found[0])
    body = [*_background(plane), *_axes(plane), *_curves(plane), *_marks(plane), *_names(plane), *_foot(plane, off)]
    inside = element("g", {"transform": f"translate({MARGIN['l']} {MARGIN['t']})"}, *body)
    slots = sorted({view.slots[point.student.name] % COLOURS for point in plane.shown})
    return _frame(view, scheme, _described(plane, off), [inside], slots=slots)


def static_plane(view: View, axis: Axis) -> tuple[Plane, list[Point]]:
    """Return what is drawn on an axis, and the students that are too far below the gate to be drawn."""
    every = points(view, axis)
    off = off_range(view, every)
    return Plane(view, axis, [point for point in every if point not in off]), off


def _frame(view: View, scheme: Scheme, description: str, body: list[str], slots: list[int]) -> str:
    height = HEIGHT + FOOT
    size = {"viewBox": f"0 0 {short(WIDTH)} {height}", "width": short(WIDTH), "height": str(height)}
    head = {"xmlns": "http://www.w3.org/2000/svg", **size, "role": "img", "aria-labelledby": "kc-t kc-d"}
    title = f"{one_line(view.result.suite, 80)}: what each student keeps against what it saves"
    return element(
        "svg",
        {**head, "font-family": FONT, "font-size": "12"},
        element("title", {"id": "kc-t"}, escaped(title)),
        element("desc", {"id": "kc-d"}, escaped(description)),
        style(_rules(slots), scheme),
        element("rect", {"class": "bg", "width": "100%", "height": "100%"}),
        *body,
    )


def _rules(slots: list[int]) -> dict[str, dict[str, str]]:
    """Return the colours by class. `c`, a control, comes last: it is hollow whatever its family."""
    return {
        "text": {"fill": "muted"},
        ".bg": {"fill": "bg"},
        ".k": {"fill": "ink"},
        ".r": {"fill": "fail"},
        ".low": {"fill": "shade"},
        "path": {"fill": "none", "stroke-width": "1.6"},
        ".g": {"stroke": "grid", "stroke-width": "1"},
        ".d": {"stroke": "guide", "stroke-dasharray": "2 4", "stroke-width": "1.3"},
        ".o": {"stroke": "guide", "stroke-width": "1.3"},
        ".x": {"stroke": "fail", "stroke-width": "1.3"},
        ".f": {"stroke": "muted"},
        ".l": {"stroke": "muted", "stroke-dasharray": "2 3"},
        ".t": {"stroke": "ink", "stroke-width": "2"},
        ".m path": {"stroke-width": "2", "vector-effect": "non-scaling-stroke"},
        **{f".s{slot}": {"stroke": f"s{slot}"} for slot in slots},
        **{f".m .s{slot}": {"fill": f"s{slot}"} for slot in slots},
        ".m .c": {"fill": "bg"},
    }


def _at(plane: Plane, x: float, percent: float) -> tuple[float, float]:
    return plane.pixels(x, percent, PLOT_WIDTH)


def _line(kind: str, *steps: tuple[float, float]) -> str:
    (x, y), *rest = steps
    return element("path", {"class": kind, "d": f"M{short(x)} {short(y)}" + "".join(_step(*each) for each in rest)})


def _step(x: float, y: float) -> str:
    return f"L{short(x)} {short(y)}"


def _background(plane: Plane) -> list[str]:
    """Shade the failing side of each gate."""
    gate, limit = plane.view.threshold("retained"), plane.axis.threshold
    parts = []
    if gate is not None:
        top = max(0.0, _at(plane, 1.0, gate * 100)[1])
        parts.append(_shade(0, top, PLOT_WIDTH, PLOT_HEIGHT - top))
    if limit is not None and plane.x_edge[0] < limit < plane.x_edge[1]:
        x = _at(plane, limit, 100.0)[0]
        parts.append(_shade(0, 0, x, PLOT_HEIGHT))
    return parts


def _size_gate(plane: Plane) -> list[str]:
    """Rule the gate of the horizontal axis, over the grid, with its name beside its foot."""
    limit = plane.axis.threshold
    if limit is None or not plane.x_edge[0] < limit < plane.x_edge[1]:
        return []
    x = _at(plane, limit, 100.0)[0]
    at, anchor = (x - 4, "end") if x > 70 else (x + 4, "start")
    name = text_at(at, PLOT_HEIGHT - 5, f"gate {numbers.whole_ratio(limit)}", kind="r", anchor=anchor)
    return [_line("x", (x, 0), (x, PLOT_HEIGHT)), name]


def _shade(x: float, y: float, width: float, height: float) -> str:
    return element("rect", {"class": "low", "x": x, "y": y, "width": width, "height": height})


def _axes(plane: Plane) -> list[str]:
    parts = []
    for tick, shown in zip(plane.along["tickvals"], plane.along["ticktext"], strict=True):
        x = _at(plane, tick, 100.0)[0]
        parts += [_line("g", (x, 0), (x, PLOT_HEIGHT)), text_at(x, PLOT_HEIGHT + 18, shown, anchor="middle")]
    for at in percent_ticks(*plane.y_edge):
        y = _at(plane, 1.0, at)[1]
        parts += [_line("g", (0, y), (PLOT_WIDTH, y))]
        parts.append(text_at(-8, y + 4, numbers.whole_percent(at / 100), anchor="end"))
    parts += [*_reference_lines(plane), *_size_gate(plane)]
    parts.append(_line("o", (0, 0), (0, PLOT_HEIGHT), (PLOT_WIDTH, PLOT_HEIGHT)))
    parts.append(text_at(PLOT_WIDTH / 2, PLOT_HEIGHT + 40, one_line(plane.axis.title, 90), anchor="middle"))
    upright = {"transform": f"translate(-54 {short(PLOT_HEIGHT / 2)}) rotate(-90)", "text-anchor": "middle"}
    parts.append(element("text", upright, escaped("Retained: share of the teacher's skill")))
    return parts


def percent_ticks(low: float, high: float) -> list[float]:
    """Return four to nine round percentages between two edges."""
    step = next((each for each in _STEPS if (high - low) / each <= 8.5), _STEPS[-1])
    return [round(number * step, 1) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]


def _reference_lines(plane: Plane) -> list[str]:
    """Rule 90, 95, 99 and 100 %, and the gate; a name that would cover a stronger one is left out."""
    gate = plane.view.threshold("retained")
    strong = [100.0, *([] if gate is None else [gate * 100])]
    parts, room = [], (plane.y_edge[1] - plane.y_edge[0]) * 15 / PLOT_HEIGHT
    for at, said in guides.reference_lines(plane).items():
        is_gate = gate is not None and at == gate * 100
        y = _at(plane, 1.0, at)[1]
        parts.append(_line("x" if is_gate else "o" if at in strong else "d", (0, y), (PLOT_WIDTH, y)))
        if at in strong or all(abs(at - other) > room for other in strong):
            parts.append(text_at(PLOT_WIDTH + 6, y + 4, said, **({"kind": "r"} if is_gate else {})))
    return parts


def _curves(plane: Plane) -> list[str]:
    """Draw the Pareto front as stairs, and join each control to its student."""
    corners = [_at(plane, *step) for step in plane.frontier]
    stairs = [corners[0]]
    for (x0, _), (x1, y1) in pairwise(corners):
        stairs += [(x0, y1), (x1, y1)]
    parts = [_line("f", *stairs)] if len(corners) > 1 else []
    by_name = {point.student.name: point for point in plane.shown}
    for point in plane.shown:
        other = by_name.get(point.student.control_of or "") if point.control else None
        if other:
            parts.append(_line("l", _at(plane, other.x, other.y * 100), _at(plane, point.x, point.y * 100)))
    return parts


def _marks(plane: Plane) -> list[str]:
    """Draw the intervals, then the controls, then the students, so that no mark is covered by a bar."""
    teacher = element("path", {"class": "t", "d": _TEACHER}, element("title", {}, "the teacher, 100 % by definition"))
    x, y = _at(plane, 1.0, 100.0)
    ordered = sorted(plane.shown, key=lambda point: not point.control)
    parts = [draw(plane, point) for draw in (_interval, _mark) for point in ordered]
    return [*parts, element("g", {"transform": f"translate({short(x)} {short(y)})"}, teacher)]


def _mark(plane: Plane, point: Point) -> str:
    """Return a mark; its place is in `transform`, its numbers in the title that a pointer shows."""
    slot = plane.view.slots[point.student.name]
    colour = f"s{slot % COLOURS}"
    shape = element("path", {"class": f"{colour} c" if point.control else colour, "d": GLYPHS[symbol(slot)]})
    title = element("title", {}, escaped(_said(plane, point)))
    scale = diameter(plane.view, point.student) / PLAIN
    sized = "" if scale == 1 else f" scale({scale:.3g})"
    return element("g", {"class": "m", "transform": _moved(plane, point) + sized}, title, shape)


def _interval(plane: Plane, point: Point) -> str:
    colour = f"s{plane.view.slots[point.student.name] % COLOURS}"
    drawn = _bars(plane, point, *_at(plane, point.x, point.y * 100))
    return element("path", {"class": colour, "transform": _moved(plane, point), "d": drawn}) if drawn else ""


def _moved(plane: Plane, point: Point) -> str:
    x, y = _at(plane, point.x, point.y * 100)
    return f"translate({short(x)} {short(y)})"


def _bars(plane: Plane, point: Point, x: float, y: float) -> str:
    """Return the interval as a path around the mark. An unbounded side, or one beyond the edge, has no cap."""
    lo, hi = point.y_interval
    if (lo, hi) == (None, None):
        return ""
    bottom = PLOT_HEIGHT if lo is None else min(PLOT_HEIGHT, _at(plane, point.x, lo * 100)[1])
    top = 0.0 if hi is None else max(0.0, _at(plane, point.x, hi * 100)[1])
    path = f"M0 {short(top - y)}V{short(bottom - y)}"
    path += "".join(f"M{-_CAP:g} {short(end - y)}H{_CAP:g}" for end in (top, bottom) if 0 < end < PLOT_HEIGHT)
    if any(limit != point.x for limit in point.x_interval):
        lo, hi = point.x_interval
        left = 0.0 if lo is None else max(0.0, _at(plane, lo, 100.0)[0])
        right = PLOT_WIDTH if hi is None else min(PLOT_WIDTH, _at(plane, hi, 100.0)[0])
        path += f"M{short(left - x)} 0H{short(right - x)}"
    return path


def _said(plane: Plane, point: Point) -> str:
    """Return what a mark shows, in words."""
    student = point.student
    verdict = f"{student.kind or 'no-teacher'} control" if point.control else words.VERDICTS[student.verdict].word
    size = f"{one_line(plane.axis.label, 60)} {numbers.ratio(point.x)}"
    return f"{one_line(student.label, 60)}: retained {plane.view.retained(student)}, {size}; {verdict}"


def _names(plane: Plane) -> list[str]:
    """Write the names where the page's chart has them: plotly's annotations, turned into texts."""
    parts = []
    baseline = {"middle": 4.0, "bottom": -3.0, "top": 11.0}
    for note in guides.names(plane):
        if note["name"] != NAMES:
            continue
        x, y = _at(plane, 10 ** note["x"], note["y"])
        place: dict[str, str | float] = {
            "x": x + note["xshift"],
            "y": y - note["yshift"] + baseline[note["yanchor"]],
            "text-anchor": {"left": "start", "right": "end"}[note["xanchor"]],
        }
        control = note["font"]["color"] == LIGHT["muted"]
        parts.append(element("text", place if control else {**place, "class": "k"}, note["text"]))
    return parts


def _foot(plane: Plane, off: list[Point]) -> list[str]:
    """Say how to read it, and who is not on it."""
    larger = " Larger: faster." if legend(plane.view) else ""
    key = f"Bars: {plane.view.level} intervals. Hollow: a control, joined to its student. Stairs: Pareto front.{larger}"
    return [
        text_at(0, PLOT_HEIGHT + 62, key),
        *([text_at(0, PLOT_HEIGHT + 78, absent)] if (absent := _absent(plane, off)) else []),
    ]


def _absent(plane: Plane, off: list[Point]) -> str:
    drawn = {point.student.name for point in [*plane.shown, *off]}
    without = [student for student in plane.view.students if student.name not in drawn]
    parts = [f"{words.plural(len(off), 'model')} far below the gate"] if off else []
    parts += [f"{words.plural(len(without), 'model')} without a retained share or a size"] if without else []
    return f"Not drawn: {', '.join(parts)}." if parts else ""


def _described(plane: Plane, off: list[Point]) -> str:
    """Return the numbers for a reader who does not see the chart."""
    gate = plane.view.threshold("retained")
    asked = "" if gate is None else f" The gate asks for {numbers.whole_percent(gate)}."
    rows = [_said(plane, point) for point in plane.shown[:_MOST_DESCRIBED]]
    more = len(plane.shown) - len(rows)
    rest = f" And {words.plural(more, 'more model')}." if more else ""
    said = f"Retained share of the teacher against: {one_line(plane.axis.title, 90)}.{asked} {'. '.join(rows)}."
    return f"{said}{rest} {_absent(plane, off)}".strip()


def _nothing() -> str:
    return text_at(WIDTH / 2, HEIGHT / 2, "No student has both a retained share and a size.", anchor="middle")
