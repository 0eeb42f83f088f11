"""Charts with one row per student: measured ratios, held-out KL, flips."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from distbench.report import numbers
from distbench.report.figures import frame
from distbench.report.measured import again_of
from distbench.report.theme import LIGHT, colour, symbol
from distbench.report.view import MeasureKey, View
from distbench.report.visible import plot_lines, plot_text
from distbench.schema.result import Estimate, Measurement, StudentResult, TaskResult


def _row_axis(names: Sequence[str]) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(names))),
        "ticktext": list(names),
        "range": [len(names) - 0.5, -0.5],
        "showgrid": False,
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
        "tickfont": {"size": 12, "color": LIGHT["ink"]},
    }


def row_layout(names: Sequence[str], along: frame.Drawn, row: int = 36, **more: Any) -> dict[str, Any]:
    """Return the layout of a chart with one named row a thing, `row` pixels each."""
    return {
        "height": 84 + row * len(names),
        "margin": {"l": 10, "r": 18, "t": 8, "b": 52},
        "xaxis": along,
        "yaxis": _row_axis(names),
        **more,
    }


def marker(view: View, student: StudentResult, *, hollow: bool, size: int = 12) -> dict[str, Any]:
    """Return the mark of a student: its shape and colour, hollow or filled."""
    slot = view.slots[student.name]
    paint = colour(slot)
    fill = LIGHT["bg"] if hollow else paint
    return {"symbol": symbol(slot), "size": size, "color": fill, "line": {"color": paint, "width": 2}}


def ratio_rows(view: View, key: MeasureKey, threshold: float | None) -> go.Figure:
    """Draw one measured ratio for every student, with its interval; what could not be measured says so in words.

    The last rows, grey and hollow, are teachers measured against themselves: as far from 1× as two equal models get.
    """
    rows = [(student, found) for student in view.students if (found := view.measurement(student, key))]
    floors = _floors(view, key, rows)
    reach = [
        value
        for found in [*(found for _, found in rows), *(found for _, found in floors)]
        for value in (found.ratio.value, found.ratio.lo, found.ratio.hi)
        if value is not None
    ]
    along = frame.ratio_axis("above 1× the student is better", [*reach, threshold or 1.0])
    edge = (10 ** along["range"][0], 10 ** along["range"][1])
    traces, notes = [], []
    for row, (student, found) in enumerate(rows):
        if found.status == "not_measurable" or found.ratio.value is None:
            notes.append(_row_note(row, "not measurable"))
            continue
        value = found.ratio.value
        bar = frame.error_bar([(value, found.ratio.lo, found.ratio.hi)], colour(view.slots[student.name]), edge)
        if found.ratio.lo is None and found.ratio.hi is None and found.ratio.status != "ok":
            bar = {}
        traces.append(
            go.Scatter(
                x=[value],
                y=[row],
                error_x=bar,
                mode="markers",
                name=plot_text(student.label),
                meta=student.name,
                marker=marker(view, student, hollow=student.role == "control"),
                hoverinfo="text",
                hovertext=[frame.hover(plot_text(student.label, 60), view.measured_ratio(found))],
            )
        )
    traces += [_floor(view, len(rows) + place, label, again, edge) for place, (label, again) in enumerate(floors)]
    names = [plot_lines(student.label, 22) for student, _ in rows]
    names += [plot_lines(f"{label} against itself", 22) for label, _ in floors]
    rows_edge = (len(names) - 0.5, -0.5)
    shapes = [frame.band(edge[0], 1.0, "x", LIGHT["shade"]), frame.rule(1.0, "x", rows_edge, LIGHT["muted"])]
    if threshold is not None:
        shapes.append(frame.rule(threshold, "x", rows_edge, LIGHT["fail"], "dash"))
    return frame.figure(traces, **row_layout(names, along, shapes=shapes, annotations=notes))


def _floors(
    view: View, key: MeasureKey, rows: Sequence[tuple[StudentResult, Measurement]]
) -> list[tuple[str, Measurement]]:
    """Return each teacher of the rows with its own ratio to itself, by label."""
    found: dict[str, Measurement] = {}
    for student, each in rows:
        teacher, again = view.teacher_of(student), again_of(view, student, each)
        if teacher is not None and again is not None and again.ratio.value is not None:
            found.setdefault(teacher.label, again)
    return list(found.items())


def _floor(view: View, row: int, label: str, again: Measurement, edge: tuple[float, float]) -> go.Scatter:
    value, grey = again.ratio.value or 0.0, LIGHT["muted"]
    bounded = again.ratio.lo is not None or again.ratio.hi is not None
    return go.Scatter(
        x=[value],
        y=[row],
        error_x=frame.error_bar([(value, again.ratio.lo, again.ratio.hi)], grey, edge) if bounded else {},
        mode="markers",
        name=plot_text(f"{label} against itself"),
        marker={"size": 10, "color": LIGHT["bg"], "line": {"color": grey, "width": 2}},
        hoverinfo="text",
        hovertext=[frame.hover(plot_text(f"{label} against itself", 60), view.measured_ratio(again))],
    )


def _round_step(reach: float) -> float:
    """Return a step of 1, 2 or 5 times a power of ten that gives two to five ticks."""
    power = 10.0 ** math.floor(math.log10(reach / 2))
    return float(next(power * part for part in (1, 2, 5, 10) if reach / (power * part) <= 5))


def _row_note(row: int, text: str) -> dict[str, Any]:
    return {
        "xref": "x domain",
        "x": 0.5,
        "y": row,
        "text": text,
        "showarrow": False,
        "font": {"size": 12, "color": LIGHT["muted"]},
    }


def kl_rows(view: View, rows: Sequence[StudentResult]) -> go.Figure:
    """Draw the held-out KL of each trained model before (hollow) and after (filled) training."""
    traces = []
    highest = 0.0
    for row, student in enumerate(rows):
        training = student.training
        before, after = (None, None) if training is None else (training.heldout_kl_before, training.heldout_kl_after)
        paint = colour(view.slots[student.name])
        if before is not None and after is not None:
            line = {"color": paint, "width": 2}
            traces.append(go.Scatter(x=[before, after], y=[row, row], mode="lines", line=line, hoverinfo="skip"))
        for value, word in ((before, "before"), (after, "after")):
            if value is None:
                continue
            highest = max(highest, value)
            text = frame.hover(plot_text(student.label, 60), f"{word} training: {numbers.plain(value)} nats")
            mark = marker(view, student, hollow=word == "before")
            traces.append(
                go.Scatter(
                    x=[value],
                    y=[row],
                    mode="markers",
                    name=word,
                    meta=student.name,
                    marker=mark,
                    hoverinfo="text",
                    hovertext=[text],
                )
            )
    along = frame.axis(
        "KL from the teacher on held-out data (nats); left is closer", range=[0, (highest or 1.0) * 1.06]
    )
    names = [plot_lines(student.label, 34) for student in rows]
    return frame.figure(traces, **row_layout(names, along))


def _flip(found: Estimate | None, scale: float) -> float | None:
    return None if found is None or found.value is None else found.value * scale


def flip_rows(rows: Sequence[tuple[StudentResult, TaskResult]]) -> go.Figure:
    """Draw lost (left) and won (right) answers of each student on each task."""
    lost = [_flip(task.fidelity.negative_flips, -100.0) for _, task in rows]
    won = [_flip(task.fidelity.positive_flips, 100.0) for _, task in rows]
    reach = max([1.0, *(abs(value) for value in (*lost, *won) if value is not None)])
    steps = math.floor(reach / (step := _round_step(reach)))
    ticks = [step * number for number in range(-steps, steps + 1)]
    traces = [
        go.Bar(
            x=values,
            y=list(range(len(rows))),
            orientation="h",
            name=name,
            marker={"color": LIGHT[paint], "line": {"width": 0}},
            width=0.62,
            hoverinfo="text",
            hovertext=[
                frame.hover(
                    plot_text(student.label, 60),
                    plot_text(task.task, 60),
                    None if value is None else f"{name}: {numbers.decimal(abs(value), 1)} % of {numbers.count(task.n)}",
                )
                for (student, task), value in zip(rows, values, strict=True)
            ],
        )
        for name, values, paint in (("lost", lost, "s1"), ("won", won, "s0"))
    ]
    along = frame.axis(
        "← lost: teacher right, student wrong · won: teacher wrong, student right →",
        tickvals=ticks,
        ticktext=[f"{abs(tick):g} %" for tick in ticks],
        range=[-reach * 1.1, reach * 1.1],
    )
    names = [f"{plot_text(student.label, 30)} · {plot_text(task.task, 24)}" for student, task in rows]
    shapes = [frame.rule(0, "x", (len(rows) - 0.5, -0.5), LIGHT["muted"])]
    return frame.figure(traces, **row_layout(names, along, 24, barmode="overlay", shapes=shapes))
