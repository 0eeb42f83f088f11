"""A run at a glance: where it comes from, its students, what each keeps on each task, its models, its verdict."""

from __future__ import annotations

from collections import Counter

from rich.console import Group, RenderableType
from rich.text import Text

from distbench.report import numbers
from distbench.report.terminal.grid import Column, Grid, Row, name, verdict_cell
from distbench.report.text import student_name, terminal_table
from distbench.report.view import View
from distbench.report.visible import one_line
from distbench.report.words import plural
from distbench.schema.record import Footprint
from distbench.schema.result import Result

_MOST_TASKS = 40  # rows of the table of tasks; a benchmark may have hundreds


def overview(result: Result, *, whole: bool = False) -> list[RenderableType]:
    """Return the parts of the overview; the verdict comes last, where a terminal leaves the eye."""
    view = View(result)
    *tables, verdict = terminal_table(result, whole=whole)
    parts: list[RenderableType] = [*_facts(view), *tables]
    if view.tasks and view.students:
        parts.append(Group(_tasks(view, whole=whole), ""))
    if result.teachers or result.students:
        parts.append(Group(_models(view), ""))
    return [*parts, verdict]


def _facts(view: View) -> list[RenderableType]:
    result = view.result
    host = result.host
    done = Counter(cell.status for cell in result.cells)
    cells = ", ".join(f"{count} {status}" for status, count in done.items()) or "none"
    lines = [
        f"run {one_line(result.run, 80)}, {one_line(result.created_at, 40) or 'no date'}, distbench {result.distbench}",
        *([one_line(result.description, 400)] if result.description else []),
        f"cells: {cells}",
        "host: not known" if host is None else
        f"host: {one_line(host.cpu, 60)}, {plural(host.cores, 'core')}, {numbers.size(host.memory_bytes)}, "
        f"{one_line(host.os, 60)}",
    ]  # fmt: skip
    return [*(Text(line, style="dim") for line in lines), Text()]


def _tasks(view: View, *, whole: bool) -> Grid:
    """Return what each student keeps on each task, beside the teacher's score."""
    columns = [Column("Task"), Column("Teacher", number=True)]
    columns += [Column(name(student.label), number=False, drop=place) for place, student in enumerate(view.candidates)]
    rows = []
    for task in view.tasks if whole else view.tasks[:_MOST_TASKS]:
        found = [next((each for each in student.tasks if each.task == task), None) for student in view.candidates]
        score = next((each.teacher for each in found if each is not None), None)
        kept = [
            Text(numbers.DASH)
            if each is None
            else Text.assemble(verdict_cell(each.verdict).plain[:1], " ", view.task_retained(each).brief.text)
            for each in found
        ]
        rows.append(Row([name(task), numbers.optional(score, numbers.plain, ""), *kept]))
    more = len(view.tasks) - len(rows)
    title = "Retained, task by task" + (f" ({more} more with --verbose)" if more > 0 else "")
    return Grid(columns, rows, title=title)


def _models(view: View) -> Grid:
    """Return every model with its size and where it comes from."""
    columns = [
        Column("Model"),
        Column("Role"),
        Column("On disk", number=True),
        Column("Parameters", number=True, drop=1),
        Column("From", drop=2),
    ]
    rows = [
        Row([name(each.label), "teacher", *sizes(each.footprint), one_line(each.source, 100)])
        for each in view.result.teachers
    ]
    rows += [
        Row([student_name(each).strip(), each.role, *sizes(each.footprint), one_line(each.made_by, 100)])
        for each in view.students
    ]
    return Grid(columns, rows, title="Models")


def sizes(found: Footprint) -> list[numbers.Shown]:
    """Return the size on disk and the number of parameters."""
    why = found.note or "not known"
    return [
        numbers.optional(found.bytes_on_disk, numbers.size, why),
        numbers.optional(found.params_unique, lambda count: numbers.parameters(int(count)), why),
    ]
