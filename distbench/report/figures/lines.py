"""Charts of what a score does not show: reliability diagrams, groups, context length, bias."""

from __future__ import annotations

import math
from collections.abc import Sequence

import plotly.graph_objects as go

from distbench.report import numbers
from distbench.report.figures import frame
from distbench.report.figures.rows import marker, row_layout
from distbench.report.theme import LIGHT, colour
from distbench.report.view import View
from distbench.report.visible import plot_lines, plot_text
from distbench.schema.result import (
    Bias,
    Calibration,
    ContextCurve,
    Estimate,
    GroupDimension,
    ReliabilityBin,
    StudentResult,
    TaskResult,
)

_PAD = 0.02


def reliability_diagram(view: View, student: StudentResult, found: Calibration) -> go.Figure:
    """Draw accuracy against confidence, bin by bin, for the teacher (grey, hollow) and the student."""
    paint = colour(view.slots[student.name])
    edge = (-_PAD, 1 + _PAD)
    diagonal = go.Scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": LIGHT["guide"], "dash": "dot", "width": 1.3}, hoverinfo="skip"
    )
    traces = [diagonal]
    for name, bins, line, fill in (
        ("teacher", found.teacher_bins, LIGHT["muted"], LIGHT["bg"]),
        (plot_text(student.label), found.student_bins, paint, paint),
    ):
        traces.append(_bins(name, [each for each in bins if each.n], line, fill))
    along = frame.axis("stated confidence", range=list(edge), tickformat=".0%", dtick=0.2)
    up = frame.axis("share that is right", range=list(edge), tickformat=".0%", dtick=0.2)
    return frame.figure(traces, height=300, margin={"l": 64, "r": 14, "t": 8, "b": 52}, xaxis=along, yaxis=up)


def _bins(name: str, bins: Sequence[ReliabilityBin], line: str, fill: str) -> go.Scatter:
    most = max((each.n for each in bins), default=1)
    return go.Scatter(
        x=[each.confidence for each in bins],
        y=[each.accuracy for each in bins],
        mode="lines+markers",
        name=name,
        line={"color": line, "width": 1.6},
        marker={
            "size": [5 + 9 * math.sqrt(each.n / most) for each in bins],
            "color": fill,
            "opacity": 1,
            "line": {"color": line, "width": 1.6},
        },
        hoverinfo="text",
        hovertext=[
            frame.hover(
                name,
                f"sure {numbers.percent(each.confidence or 0.0)}, right {numbers.percent(each.accuracy or 0.0)}",
                numbers.items(each.n),
            )
            for each in bins
        ],
    )


def _edges(found: Sequence[Estimate], floor: float) -> tuple[float, float]:
    """Return the range of an axis of retained shares, in per cent; an interval may reach far beyond it."""
    values = [each.value for each in found if each.value is not None]
    lows = [max(each.lo, each.value - 0.3) for each in found if each.lo is not None and each.value is not None]
    highs = [min(each.hi, each.value + 0.3) for each in found if each.hi is not None and each.value is not None]
    low, high = min([floor - 0.05, *values, *lows]), max([1.0, *values, *highs])
    pad = (high - low) * 0.05
    return (low - pad) * 100, (high + pad) * 100


def _retained(found: Estimate, paint: str, edge: tuple[float, float]) -> frame.Drawn:
    value = found.value or 0.0
    if found.lo is None and found.hi is None and (found.status != "ok" or found.n < 2):
        return {}
    limits = [None if limit is None else limit * 100 for limit in (found.lo, found.hi)]
    return frame.error_bar([(value * 100, limits[0], limits[1])], paint, edge)


def group_rows(view: View, planes: Sequence[tuple[StudentResult, GroupDimension]]) -> go.Figure:
    """Draw what each group retains, one row a group and one mark a student; unjudged groups are hollow."""
    names = list(dict.fromkeys(group.group for _, found in planes for group in found.groups))
    floor = planes[0][1].floor
    edge = _edges([group.retained for _, found in planes for group in found.groups if group.judged], floor)
    drawn = [(student, found) for student, found in planes if found.groups]
    step = 0.6 / max(1, len(drawn))
    traces = []
    for place, (student, found) in enumerate(drawn):
        for group in found.groups:
            value = group.retained.value
            if value is None or not edge[0] <= value * 100 <= edge[1]:
                continue
            row = names.index(group.group) + (place - (len(drawn) - 1) / 2) * step
            text = frame.hover(
                plot_text(student.label, 60),
                plot_text(group.group, 60),
                f"retained {numbers.as_percent(group.retained, (floor,))}",
                numbers.items(group.n),
                None if group.judged else "listed, not judged",
            )
            traces.append(
                go.Scatter(
                    x=[value * 100],
                    y=[row],
                    error_x=_retained(group.retained, colour(view.slots[student.name]), edge) if group.judged else {},
                    mode="markers",
                    name=plot_text(student.label),
                    meta=student.name,
                    marker=marker(view, student, hollow=not group.judged, size=9),
                    hoverinfo="text",
                    hovertext=[text],
                )
            )
    rows_edge = (len(names) - 0.5, -0.5)
    shapes = [
        frame.band(edge[0], floor * 100, "x", LIGHT["shade"]),
        frame.rule(floor * 100, "x", rows_edge, LIGHT["fail"], "dash"),
        frame.rule(100, "x", rows_edge, LIGHT["muted"]),
    ]
    along = frame.axis("retained in the group", range=list(edge), ticksuffix=" %", nticks=6)
    height = max(28, 12 * len(drawn))
    return frame.figure(traces, **row_layout([plot_lines(name, 22) for name in names], along, height, shapes=shapes))


def context_lines(view: View, curves: Sequence[tuple[StudentResult, ContextCurve]]) -> go.Figure:
    """Draw retained share against context length; a missing length breaks the line."""
    lengths = sorted({bucket.length for _, curve in curves for bucket in curve.buckets})
    margin = curves[0][1].margin
    edge = _edges([bucket.retained for _, curve in curves for bucket in curve.buckets], margin)
    traces = []
    for student, curve in curves:
        paint = colour(view.slots[student.name])
        by_length = {bucket.length: bucket for bucket in curve.buckets}
        found = [by_length.get(length) for length in lengths]
        values = [None if each is None or each.retained.value is None else each.retained.value for each in found]
        bars = frame.error_bar([_in_percent(each.retained if each else None) for each in found], paint, edge)
        traces.append(
            go.Scatter(
                x=lengths,
                y=[None if value is None else value * 100 for value in values],
                error_y=bars,
                mode="lines+markers",
                connectgaps=False,
                name=plot_text(student.label),
                meta=student.name,
                line={"color": paint, "width": 1.8, "dash": "dot" if student.role == "control" else "solid"},
                marker=marker(view, student, hollow=student.role == "control", size=9),
                hoverinfo="text",
                hovertext=[
                    None
                    if each is None
                    else frame.hover(
                        plot_text(student.label, 60),
                        f"{numbers.count(each.length)} tokens",
                        f"retained {plot_text(str(numbers.as_percent(each.retained, (margin,))), 120)}",
                        numbers.items(each.n),
                    )
                    for each in found
                ],
            )
        )
    span = (math.log10(lengths[0]) - 0.12, math.log10(lengths[-1]) + 0.12) if lengths[0] > 0 else (0.0, 1.0)
    across = (10 ** span[0], 10 ** span[1])
    along = frame.axis(
        "context length (tokens, log scale)",
        type="log",
        range=list(span),
        tickvals=lengths,
        ticktext=[_short(length) for length in lengths],
    )
    up = frame.axis("retained", range=list(edge), ticksuffix=" %", nticks=6)
    shapes = [
        frame.band(edge[0], margin * 100, "y", LIGHT["shade"]),
        frame.rule(margin * 100, "y", across, LIGHT["fail"], "dash"),
        frame.rule(100, "y", across, LIGHT["muted"]),
    ]
    layout = {"height": 320, "margin": {"l": 72, "r": 14, "t": 8, "b": 52}, "shapes": shapes}
    return frame.figure(traces, xaxis=along, yaxis=up, **layout)


def _in_percent(found: Estimate | None) -> tuple[float, float | None, float | None]:
    if found is None or found.value is None:
        return 0.0, 0.0, 0.0  # no point is drawn here, so no bar either
    lo, hi = (None if limit is None else limit * 100 for limit in (found.lo, found.hi))
    return found.value * 100, lo, hi


def _short(length: int) -> str:
    """Return a length as people name it: 8k for 8,192."""
    return f"{length // 1024}k" if length >= 1024 and length % 1024 == 0 else numbers.count(length)


def bias_rows(view: View, rows: Sequence[tuple[StudentResult, TaskResult, Bias]]) -> go.Figure:
    """Draw the bias rate of the teacher (hollow) and of the student on each row, with the neutral value as a line."""
    traces, shapes = [], []
    reach = [found.neutral for _, _, found in rows]
    for row, (student, task, found) in enumerate(rows):
        paint = colour(view.slots[student.name])
        values = (found.teacher, found.student)
        reach += [x for each in values for x in (each.value, each.lo, each.hi) if x is not None]
        shapes.append(frame.rule(found.neutral * 100, "x", (row + 0.45, row - 0.45), LIGHT["muted"]))
        line = [each.value * 100 for each in values if each.value is not None]
        traces.append(
            go.Scatter(
                x=line,
                y=[row] * len(line),
                mode="lines",
                line={"color": paint, "width": 2, "dash": "dot"},
                hoverinfo="skip",
            )
        )
        for word, each in zip(("teacher", "student"), values, strict=True):
            if each.value is None:
                continue
            text = frame.hover(
                plot_text(f"{student.label}, {task.task}", 80),
                f"{word}: {numbers.as_percent(each, (found.neutral,))} biased",
                f"neutral {numbers.whole_percent(found.neutral)}",
            )
            traces.append(
                go.Scatter(
                    x=[each.value * 100],
                    y=[row],
                    error_x=_retained(each, paint, (0.0, 100.0)) if word == "student" else {},
                    mode="markers",
                    name=word,
                    meta=student.name,
                    marker=marker(view, student, hollow=word == "teacher"),
                    hoverinfo="text",
                    hovertext=[text],
                )
            )
    low, high = min(reach), max(reach)
    pad = max(0.03, (high - low) * 0.08)
    along = frame.axis(
        "share of biased answers; closer to the line is better",
        range=[(low - pad) * 100, (high + pad) * 100],
        ticksuffix=" %",
        nticks=6,
    )
    names = [f"{plot_text(student.label, 26)} · {plot_text(task.task, 22)}" for student, task, _ in rows]
    return frame.figure(traces, **row_layout(names, along, 30, shapes=shapes))
