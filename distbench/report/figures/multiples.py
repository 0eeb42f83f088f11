"""Small multiples: the key chart once for each task, on one scale, so that a task that differs stands out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from distbench.report import numbers, words
from distbench.report.figures import frame
from distbench.report.figures.rows import marker
from distbench.report.theme import LIGHT, colour
from distbench.report.view import HEADLINE_KIND, View
from distbench.report.visible import plot_text
from distbench.schema.result import StudentResult, TaskResult

MOST_PANELS = 12
_FAR = 0.25  # below the floor: a ruined student is counted, and must not squeeze the others
_REACH = 0.3  # of an interval that is drawn: that of a weak teacher would squeeze everything else


@dataclass(frozen=True)
class Panel:
    """One task with every student that has a retained share on it."""

    task: str
    rows: list[tuple[StudentResult, TaskResult]]

    @property
    def least(self) -> float:
        """The lowest retained share."""
        return min(task.retained.value or 0.0 for _, task in self.rows)


def panels(view: View) -> list[Panel]:
    """Return the tasks, the one with the lowest retained share first; none where there is only one."""
    found = []
    for name in view.tasks:
        rows = [
            (student, task)
            for student in view.students
            for task in student.tasks
            if task.task == name and task.retained.value is not None
        ]
        if rows:
            found.append(Panel(name, rows))
    return sorted(found, key=lambda panel: panel.least) if len(found) > 1 else []


def by_size(view: View) -> bool:
    """Say whether the students have sizes to be placed by; otherwise they stand in the order of the table."""
    return any(student.compression.get(HEADLINE_KIND) for student in view.students)


def panel_figure(view: View, panel: Panel, every: Sequence[Panel], floor: float) -> frame.Drawn:
    """Draw one task: retained share (y, one range for all panels) against compression."""
    edge = _range(every, floor)
    places = _places(view)
    placed = [(student, task) for student, task in panel.rows if student.name in places]
    least = edge[0] + 0.06 * (edge[1] - edge[0])  # a mark at the very edge would be cut
    shown = [(student, task) for student, task in placed if (task.retained.value or 0.0) * 100 >= least]
    traces = [_mark(view, student, task, places[student.name], edge) for student, task in shown]
    title = f"times smaller ({words.size_kind(HEADLINE_KIND)})"
    if by_size(view):
        along = frame.ratio_axis(title, list(places.values()), pad=1.2)
        across = (10.0 ** along["range"][0], 10.0 ** along["range"][1])
    else:
        across = (-0.6, len(places) - 0.4)
        along = frame.axis("students in the order of the table", range=list(across), showticklabels=False)
    up = frame.axis("", range=list(edge), ticksuffix=" %", nticks=5)
    shapes = [
        frame.band(edge[0], floor * 100, "y", LIGHT["shade"]),
        frame.rule(floor * 100, "y", across, LIGHT["fail"], "dash"),
        frame.rule(100, "y", across, LIGHT["muted"]),
    ]
    layout = {
        "height": 230,
        "margin": {"l": 56, "r": 10, "t": 6, "b": 48},
        "shapes": shapes,
        "annotations": [_below(len(placed) - len(shown))] if len(placed) > len(shown) else [],
    }
    return frame.plain_json(frame.figure(traces, xaxis=along, yaxis=up, **layout))


def _below(number: int) -> frame.Drawn:
    return {
        "xref": "x domain",
        "yref": "y domain",
        "x": 0.02,
        "y": 0.03,
        "xanchor": "left",
        "yanchor": "bottom",
        "text": f"↓ {number} further below",
        "showarrow": False,
        "font": {"size": 12, "color": LIGHT["fail"]},
    }


def _places(view: View) -> dict[str, float]:
    if not by_size(view):
        return {student.name: float(place) for place, student in enumerate(view.students)}
    sizes = {student.name: student.compression.get(HEADLINE_KIND) for student in view.students}
    return {name: size for name, size in sizes.items() if size is not None and math.isfinite(size) and size > 0}


def _range(every: Sequence[Panel], floor: float) -> tuple[float, float]:
    shares = [task.retained for panel in every for _, task in panel.rows]
    values = [each.value for each in shares if each.value is not None]
    lows = [max(each.lo, each.value - _REACH) for each in shares if each.lo is not None and each.value is not None]
    highs = [min(each.hi, each.value + _REACH) for each in shares if each.hi is not None and each.value is not None]
    low = max(min([floor - 0.05, *values, *lows]), floor - _FAR)
    high = max([1.01, *values, *highs])
    pad = (high - low) * 0.05
    return (low - pad) * 100, (high + pad) * 100


def _mark(view: View, student: StudentResult, task: TaskResult, x: float, edge: tuple[float, float]) -> go.Scatter:
    value = (task.retained.value or 0.0) * 100
    low, high = (None if limit is None else limit * 100 for limit in (task.retained.lo, task.retained.hi))
    bounded = (low, high) != (None, None) or (task.retained.status == "ok" and task.retained.n > 1)
    verdict = words.VERDICTS[task.verdict]
    return go.Scatter(
        x=[x],
        y=[value],
        error_y=frame.error_bar([(value, low, high)], colour(view.slots[student.name]), edge) if bounded else {},
        mode="markers",
        name=plot_text(student.label),
        meta=student.name,
        marker=marker(view, student, hollow=student.role == "control", size=9),
        hoverinfo="text",
        hovertext=[
            frame.hover(
                plot_text(student.label, 60),
                plot_text(task.task, 60),
                f"retained {plot_text(str(view.task_retained(task)), 100)}",
                f"{verdict.glyph} {verdict.word}",
                numbers.items(task.n),
            )
        ],
    )
