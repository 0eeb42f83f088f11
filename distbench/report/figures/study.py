"""Charts of studies and of training runs: data efficiency, and the spread between seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from distbench.report import numbers
from distbench.report.figures import frame
from distbench.report.figures.rows import marker, row_layout
from distbench.report.studies import Line, Quantity
from distbench.report.theme import LIGHT, colour, symbol
from distbench.report.view import View
from distbench.report.visible import plot_lines, plot_text
from distbench.schema.result import Estimate, StudentResult

_REACH = 0.3  # of an interval that is drawn: those of few seeds would squeeze everything else
_APART = 1.015  # factor between distilled and control on the log axis, so that their bars do not cover each other


def efficiency_lines(
    lines: Sequence[Line], what: Quantity, axis_title: str, *, teacher: float | None, threshold: float | None
) -> go.Figure:
    """Draw a quantity against the amount of data: the student solid, its control dotted, hollow.

    `teacher` and `threshold` are lines across the plot, in the unit of the quantity.
    """
    scale = 100.0 if what.share else 1.0
    entries = [entry for line in lines for _, entry in line.points]
    drawn = [each for entry in entries for each in (what.distilled(entry), what.control(entry)) if each is not None]
    edge = _edges(drawn, [level for level in (teacher, threshold) if level is not None], scale)
    amounts = sorted({amount for line in lines for amount, _ in line.points})
    traces = []
    for number, line in enumerate(lines):
        traces.append(_line(line, number, what, edge, control=True))
        traces.append(_line(line, number, what, edge, control=False))
    span = (math.log10(amounts[0]) - 0.15, math.log10(amounts[-1]) + 0.15)
    across = (10 ** span[0], 10 ** span[1])
    ticks = {"tickvals": amounts, "ticktext": [numbers.count(int(amount)) for amount in amounts]}
    along = frame.axis(f"{axis_title} (log scale)", type="log", range=list(span), **ticks)
    up = frame.axis(plot_text(what.title), range=list(edge), ticksuffix=" %" if what.share else "", nticks=6)
    shapes = [] if teacher is None else [frame.rule(teacher * scale, "y", across, LIGHT["muted"])]
    if threshold is not None:
        shapes.append(frame.rule(threshold * scale, "y", across, LIGHT["fail"], "dash"))
    layout = {"height": 330, "margin": {"l": 72, "r": 14, "t": 8, "b": 52}, "shapes": shapes}
    return frame.figure(traces, xaxis=along, yaxis=up, **layout)


def _line(line: Line, number: int, what: Quantity, edge: tuple[float, float], *, control: bool) -> go.Scatter:
    scale, paint = 100.0 if what.share else 1.0, colour(number)
    read = what.control if control else what.distilled
    found = [(amount, entry, each) for amount, entry in line.points if (each := read(entry)) and each.value is not None]
    who = "control" if control else "student"
    return go.Scatter(
        x=[amount / _APART if control else amount * _APART for amount, _, _ in found],
        y=[_scaled(each.value, scale) for _, _, each in found],
        error_y=frame.error_bar(
            [(_scaled(each.value, scale) or 0.0, *_limits(each, scale)) for _, _, each in found], paint, edge
        ),
        mode="lines+markers",
        name=plot_text(f"{line.label} {who}".strip()),
        line={"color": paint, "width": 1.8, "dash": "dot" if control else "solid"},
        marker={
            "symbol": symbol(number),
            "size": 10,
            "color": LIGHT["bg"] if control else paint,
            "line": {"color": paint, "width": 2},
        },
        hoverinfo="text",
        hovertext=[
            frame.hover(
                plot_text(line.label, 60),
                f"{who}, {numbers.count(int(amount))}",
                f"{plot_text(what.title, 60)} {plot_text(str(_words(each, share=what.share)), 120)}",
                f"{entry.seeds} training runs" if entry.seeds > 1 else "1 training run",
            )
            for amount, entry, each in found
        ],
    )


def seed_rows(view: View, rows: Sequence[StudentResult], task: str, title: str) -> go.Figure:
    """Draw every training run's score on a task, and the mean with its interval; a control is hollow.

    `title` names the axis.
    """
    traces: list[go.Scatter] = []
    reach: list[float] = []
    for row, student in enumerate(rows):
        spread = student.seeds
        mean = next((each for each in spread.every if each.task == task), None) if spread else None
        if spread is None or mean is None:
            continue
        for control, whole in ((True, mean.control), (False, mean.student)):
            runs = [(each.seed, (each.control if control else each.scores).get(task)) for each in spread.rows]
            known = [(seed, score) for seed, score in runs if score is not None]
            reach += [score for _, score in known]
            if whole is not None and whole.value is not None:
                reach += [x for x in (whole.value, *_near(whole)) if x is not None]
                traces += _spread(view, student, row, known, whole, control=control)
    low, high = (min(reach), max(reach)) if reach else (0.0, 1.0)
    pad = (high - low) * 0.06 or max(abs(high) * 0.05, 0.005)
    edge = (low - pad, high + pad)
    along = frame.axis(plot_text(title, 60), range=list(edge), nticks=4)
    names = [plot_lines(student.label, 26) for student in rows]
    return frame.figure(traces, **row_layout(names, along, 46))


def _spread(
    view: View,
    student: StudentResult,
    row: int,
    runs: Sequence[tuple[int, float]],
    whole: Estimate,
    *,
    control: bool,
) -> list[go.Scatter]:
    paint, at = colour(view.slots[student.name]), row + (0.17 if control else -0.17)
    who = "control" if control else "student"
    dots = go.Scatter(
        x=[score for _, score in runs],
        y=[at] * len(runs),
        mode="markers",
        name=f"{who}, one run",
        meta=student.name,
        marker={"size": 6, "color": LIGHT["bg"] if control else paint, "line": {"color": paint, "width": 1.2}},
        hoverinfo="text",
        hovertext=[
            frame.hover(plot_text(student.label, 60), f"{who}, seed {seed}: {numbers.fine(score)}")
            for seed, score in runs
        ],
    )
    lo, hi = _near(whole)
    value = whole.value or 0.0
    bars: dict[str, Any] = {} if lo is None or hi is None else frame.error_bar([(value, lo, hi)], paint, (lo, hi))
    mean = go.Scatter(
        x=[value],
        y=[at],
        error_x=bars,
        mode="markers",
        name=f"{who}, mean",
        meta=student.name,
        marker=marker(view, student, hollow=control, size=11),
        hoverinfo="text",
        hovertext=[frame.hover(plot_text(student.label, 60), f"{who}, mean of {len(runs)}: {_words(whole)}")],
    )
    return [mean, dots]


def _words(found: Estimate, *, share: bool = False) -> numbers.Shown:
    return numbers.as_percent(found) if share else numbers.estimate(found, numbers.plain, "")


def _near(found: Estimate) -> tuple[float | None, float | None]:
    """Return the limits of an interval, cut at a distance."""
    if found.value is None:
        return None, None
    lo = None if found.lo is None else max(found.lo, found.value - _REACH)
    return lo, None if found.hi is None else min(found.hi, found.value + _REACH)


def _limits(found: Estimate, scale: float) -> tuple[float | None, float | None]:
    if found.lo is None and found.hi is None:  # no interval: a bar of no length, not one to the edge
        return _scaled(found.value, scale), _scaled(found.value, scale)
    return _scaled(found.lo, scale), _scaled(found.hi, scale)


def _edges(found: Sequence[Estimate], also: Sequence[float], scale: float) -> tuple[float, float]:
    values = [each.value for each in found if each.value is not None]
    near = [limit for each in found for limit in _near(each) if limit is not None]
    low, high = min([*values, *near, *also], default=0.0), max([*values, *near, *also], default=1.0)
    pad = max(0.01, (high - low) * 0.05)
    return (low - pad) * scale, (high + pad) * scale


def _scaled(value: float | None, scale: float) -> float | None:
    return None if value is None else value * scale
