"""The heat map task × student, centred on the gate: one ruined task must jump to the eye."""

from __future__ import annotations

from typing import Any

import plotly.graph_objects as go

from distbench.report import numbers, words
from distbench.report.figures import frame
from distbench.report.theme import LIGHT
from distbench.report.view import View
from distbench.report.visible import plot_lines, plot_text
from distbench.schema.result import StudentResult, TaskResult

_SCALE = [
    [0.0, LIGHT["heat-low"]],
    [0.25, LIGHT["heat-below"]],
    [0.5, LIGHT["heat-mid"]],
    [0.75, LIGHT["heat-above"]],
    [1.0, LIGHT["heat-high"]],
]
_WIDEST, _NARROWEST = 0.15, 0.05


def heat_map(view: View, centre: float) -> go.Figure | None:
    """Draw the map; None where no task has a retained share."""
    students = [student for student in view.students if student.tasks]
    found = {(student.name, task.task): task for student in students for task in student.tasks}
    tasks = [name for name in view.tasks if any(_retains(found.get((student.name, name))) for student in students)]
    if not tasks:
        return None
    cells = [[found.get((student.name, task)) for student in students] for task in tasks]
    values = [cell.retained.value for row in cells for cell in row if cell and cell.retained.value is not None]
    span = min(_WIDEST, max([_NARROWEST, *(abs(value - centre) for value in values)]))
    columns, rows = list(range(len(students))), list(range(len(tasks)))
    heat = go.Heatmap(
        x=columns,
        y=rows,
        z=[[_percent(cell) for cell in row] for row in cells],
        text=[[_text(cell) for cell in row] for row in cells],
        texttemplate="%{text}",
        hoverinfo="text",
        hovertext=[[_hover(view, student, cell) for student, cell in zip(students, row, strict=True)] for row in cells],
        colorscale=_SCALE,
        zmid=centre * 100,
        zmin=(centre - span) * 100,
        zmax=(centre + span) * 100,
        xgap=3,
        ygap=3,
        meta={"columns": [student.name for student in students]},
        showscale=False,  # its gradient sets a style attribute, which the page forbids
    )
    return frame.figure(
        [heat, _empty(cells)],
        height=110 + 44 * len(tasks),
        margin={"l": 10, "r": 10, "t": 8, "b": 10},
        xaxis=_names([plot_lines(student.label, 150 // max(6, len(students)), 3) for student in students]),
        yaxis=_names([plot_lines(task, 30) for task in tasks], autorange="reversed"),
    )


def _retains(cell: TaskResult | None) -> bool:
    """Say whether a task could have a retained share; bits per byte and bias rates never do."""
    return cell is not None and cell.retained.status != "undefined"


def _percent(cell: TaskResult | None) -> float | None:
    return None if cell is None or cell.retained.value is None else cell.retained.value * 100


def _text(cell: TaskResult | None) -> str:
    if cell is None or cell.retained.value is None:
        return ""
    return f"{words.VERDICTS[cell.verdict].glyph} {numbers.bare_percent(cell.retained.value)}"


def _hover(view: View, student: StudentResult, cell: TaskResult | None) -> str:
    if cell is None:
        return ""
    return frame.hover(
        plot_text(student.label, 60),
        plot_text(cell.task, 60),
        f"retained {plot_text(str(view.task_retained(cell)), 100)}",
        words.VERDICTS[cell.verdict].word,
        numbers.items(cell.n),
    )


def _empty(cells: list[list[TaskResult | None]]) -> go.Scatter:
    """Write why a cell has no colour: plotly prints no text where there is no value."""
    holes = [
        (column, row, "no signal" if cell and cell.retained.status == "no_signal" else numbers.DASH)
        for row, line in enumerate(cells)
        for column, cell in enumerate(line)
        if _percent(cell) is None
    ]
    return go.Scatter(
        x=[column for column, _, _ in holes],
        y=[row for _, row, _ in holes],
        text=[text for _, _, text in holes],
        mode="text",
        hoverinfo="skip",
        textfont={"size": 12, "color": LIGHT["muted"]},
    )


def _names(names: list[str], **more: Any) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(names))),
        "ticktext": names,
        "showgrid": False,
        "ticks": "",
        "zeroline": False,
        "automargin": True,
        "fixedrange": True,
        "tickfont": {"size": 12, "color": LIGHT["ink"]},
        **more,
    }
