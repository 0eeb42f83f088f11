"""One student in full: verdict, rules, tasks, measurements, what training did, warnings."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from distbench.report import numbers, words
from distbench.report.findings import distillation
from distbench.report.measured import shown_side
from distbench.report.terminal.grid import COLOURS, Column, Grid, Row, name, verdict_cell
from distbench.report.text import student_name
from distbench.report.view import MeasureKey, View
from distbench.report.visible import one_line
from distbench.schema.result import StudentResult

_LONG = 400


def student_parts(view: View, student: StudentResult) -> list[RenderableType]:
    """Return what there is to say about a student."""
    verdict = words.VERDICTS[student.verdict]
    head = Text(f"{student_name(student).strip()}: ")
    head.append(f"{verdict.glyph} {verdict.word}", style=f"bold {COLOURS[verdict.tone]}")
    parts: list[RenderableType] = [
        Group(head, Text(one_line(student.verdict_reason, _LONG)), Text(f"made by {one_line(student.made_by, _LONG)}")),
        Text(),
    ]
    for grid, notes in (
        (_rules(view, student), []),
        (_tasks(view, student), _open_tasks(student)),
        (_measurements(view, student), _unmeasured(view, student)),
    ):
        if grid.rows:
            parts.append(Group(grid, *notes, ""))
    if student.training and student.role == "student":
        _, answer, why = distillation(view, student)
        parts.append(Text(one_line(f"{answer} {why}")))
    parts += [Text(f"Warning: {one_line(text, _LONG)}", style="yellow") for text in student.warnings]
    return parts


def _open_tasks(student: StudentResult) -> list[RenderableType]:
    """Return why a task does not pass, and what would decide it."""
    return [
        Text(one_line(f"{name(task.task)}: {task.reason}", _LONG), style="dim")
        for task in student.tasks
        if task.verdict != "PASS" and task.reason
    ]


def _unmeasured(view: View, student: StudentResult) -> list[RenderableType]:
    """Return why a measure has no ratio, and what to do about it."""
    said: list[RenderableType] = []
    for found in student.measurements:
        if view.measured_ratio(found).missing:
            why = found.reason or found.ratio.reason or "no reason given"
            remedy = f"; {found.remedy}" if found.remedy else ""
            title = MeasureKey.of(found).title
            said.append(Text(one_line(f"{title}: {why}{remedy}", _LONG), style="dim"))
    return said


def _rules(view: View, student: StudentResult) -> Grid:
    columns = [
        Column("Verdict"),
        Column("Rule"),
        Column("Asked", number=True),
        Column("Seen", number=True),
        Column("Why", drop=1),
    ]
    rows = []
    for check in student.gate:
        rule = words.rule_words(check.rule) + (f": {one_line(check.task, 60)}" if check.task else "")
        rule += "" if check.required else " (advisory)"
        why = one_line(check.reason or "", _LONG)
        rows.append(Row([verdict_cell(check.verdict), rule, view.asked(check), view.seen(check), why]))
    return Grid(columns, rows, title="Rules of the gate", names=2)


def _tasks(view: View, student: StudentResult) -> Grid:
    columns = [
        Column("Verdict"),
        Column("Task"),
        Column("n", number=True, drop=4),
        Column("Teacher", number=True, drop=2),
        Column("Student", number=True, drop=2),
        Column("Retained", number=True),
        Column("Δ", number=True, drop=3),
        Column("Lost", number=True, drop=5),
        Column("Won", number=True, drop=6),
    ]
    rows = []
    for task in student.tasks:
        lost, won = task.fidelity.negative_flips, task.fidelity.positive_flips
        rows.append(
            Row([
                verdict_cell(task.verdict),
                name(task.task) + ("" if task.gated else f" ({words.humanise(task.metric)}, not gated)"),
                numbers.count(task.n),
                numbers.optional(task.teacher, numbers.plain, ""),
                numbers.optional(task.student, numbers.plain, ""),
                view.task_retained(task),
                numbers.as_signed(task.delta),
                numbers.perhaps(lost, numbers.as_percent, "not scored right or wrong"),
                numbers.perhaps(won, numbers.as_percent, "not scored right or wrong"),
            ])
        )  # fmt: skip
    return Grid(columns, rows, title="Tasks; Δ: student − teacher, + is better", names=2)


def _measurements(view: View, student: StudentResult) -> Grid:
    columns = [
        Column("Measure"),
        Column("Teacher", number=True, drop=2),
        Column("Student", number=True, drop=1),
        Column("Times better", number=True),
    ]
    rows = [
        Row([
            one_line(key.title, 100),
            shown_side(found, "teacher"),
            shown_side(found, "student"),
            view.measured_ratio(found),
        ])
        for key in view.measures  # speed first
        if (found := view.measurement(student, key)) is not None
    ]  # fmt: skip
    return Grid(columns, rows, title="Measured side by side; medians")
