"""The comparison as text: renderables for a terminal, and Markdown for a pull request."""

from __future__ import annotations

from dataclasses import replace

from rich.console import Group, RenderableType
from rich.text import Text

from distbench.report import numbers, words
from distbench.report.beyond import beyond_scores
from distbench.report.findings import distillation, warnings
from distbench.report.markdown_parts import MARKDOWN_LIMIT as MARKDOWN_LIMIT  # noqa: PLC0414 - others read it here
from distbench.report.markdown_parts import escape as _escape
from distbench.report.markdown_parts import fitting as _fitting
from distbench.report.markdown_parts import headed as _headed
from distbench.report.markdown_parts import row as _row
from distbench.report.numbers import Shown
from distbench.report.studies import shown_studies, study_rows
from distbench.report.terminal.grid import COLOURS, Column, Grid, Row, name, verdict_cell
from distbench.report.view import View
from distbench.report.visible import one_line
from distbench.schema.result import Result, StudentResult

_ROOM = 64_000  # leaves room for what a caller puts around it
_LONGEST_NAME, _LONGEST_TEXT = 60, 400
_MOST_MORE = 24  # lines about single tasks on a terminal; the report has all
_DROPPED = {"Energy": 4, "Memory": 3, "Gap rec.": 2, "Faster": 1}  # left out where no student has one, or no room


def terminal_table(result: Result, *, whole: bool = False) -> list[RenderableType]:
    """Return the table of students and the verdict with the sentence that explains it; the caller prints them.

    `whole`: every measure beyond the scores, not only the first.
    """
    view = View(result)
    more = _more_table(view, whole=whole)
    parts: list[RenderableType] = [
        *([students_grid(view)] if view.students else []),
        *_study_tables(view),
        *([more] if more else []),
    ]
    return [*(Group(part, "") for part in parts), Group(*_verdict_lines(view))]


def students_grid(view: View) -> Grid:
    """Return the table of students, with as many columns as the terminal has room for."""
    headings = list(student_cells(view, view.students[0]))
    columns = [
        Column("Verdict"),
        Column("Student"),
        *(Column(heading, number=heading != "Worst task", drop=_DROPPED.get(heading, 0)) for heading in headings),
    ]
    rows = []
    for student in view.students:
        cells = student_cells(view, student)
        dim = "dim" if student.role == "control" else ""
        stacked = [Text(f"{cells[heading].text}\n{cells[heading].interval}".rstrip()) for heading in headings]
        rows.append(Row([verdict_cell(student.verdict), student_name(student), *stacked], dim))
    return Grid(columns, rows, title=_facts(view), names=2)


def student_cells(view: View, student: StudentResult) -> dict[str, Shown]:
    """Return the numbers of a student; a missing one is a dash, and its reason is in the report."""
    worst = view.worst(student)
    lowest = view.worst_retained(student)
    cells = {
        "Retained": view.retained(student),
        "Worst task": replace(lowest, interval=one_line(worst.task, 40)) if worst else lowest,
        "Smaller": view.compression(student),
        "Faster": view.ratio(student, "latency"),
        "Memory": view.ratio(student, "memory"),
        "Energy": view.ratio(student, "energy"),
        "Gap rec.": view.gap(student),
    }
    return {heading: replace(cell, text=numbers.DASH) if cell.missing else cell for heading, cell in cells.items()}


def student_name(student: StudentResult) -> str:
    """Return a student's label as tables show it: a control is indented below its student."""
    label = one_line(student.label, _LONGEST_NAME)
    if student.role == "control":
        return f"  {label} (control)"
    return label if student.required else f"{label} (optional)"


def _facts(view: View) -> str:
    students = words.plural(len(view.candidates), "student")
    tasks = words.plural(len(view.tasks), "task")
    suite = one_line(view.result.suite, 80)
    return f"{suite}: {students}, {tasks}; intervals at {view.level}; × = times better than the teacher"


def _study_tables(view: View) -> list[Grid]:
    """Return a table a study, a row a student."""
    tables = []
    for study in shown_studies(view):
        headings, rows = study_rows(view, study)
        columns = [Column(one_line(heading, _LONGEST_NAME), number=True) for heading in headings]
        cells = [Row([one_line(cell, _LONGEST_NAME) for cell in row]) for row in rows]
        tables.append(Grid(columns, cells, title=f"study {one_line(study.name, _LONGEST_NAME)}", names=len(study.axes)))
    return tables


def _more_table(view: View, *, whole: bool) -> Grid | None:
    """Return what a score does not show, one line a measure; None where nothing of it was measured."""
    lines = beyond_scores(view)
    if not lines:
        return None
    columns = [Column("Task"), Column("Measure"), Column("Seen", number=True)]
    rows = [
        Row([name(line.task), one_line(line.measure), line.shown], group=name(line.student))
        for line in (lines if whole else lines[:_MOST_MORE])
    ]
    left_out = len(lines) - len(rows)
    title = (
        f"Beyond the scores ({left_out} more with --verbose, and in the report)" if left_out else "Beyond the scores"
    )
    return Grid(columns, rows, title=title, names=2)


def verdict_lines(result: Result) -> list[RenderableType]:
    """Return the verdict with the sentence that explains it, and the recommended student."""
    return _verdict(View(result))


def _verdict(view: View) -> list[RenderableType]:
    verdict = words.VERDICTS[view.result.verdict]
    line = Text()
    line.append(f"{verdict.glyph} {view.result.verdict.replace('_', ' ')}", style=f"bold {COLOURS[verdict.tone]}")
    line.append(f" {verdict.meaning}: {one_line(view.result.verdict_reason, _LONGEST_TEXT)}")
    lines: list[RenderableType] = [line]
    if view.recommended:
        lines.append(Text(f"Recommended: {one_line(view.recommended.label, _LONGEST_NAME)}", style="bold"))
    return lines


def _verdict_lines(view: View) -> list[RenderableType]:
    lines = _verdict(view)
    for student in view.candidates:
        if student.training:
            _, answer, why = distillation(view, student)
            lines.append(Text(one_line(f"{answer} {why}")))
    lines += [
        Text(f"Warning: {_about(about)}{one_line(text, _LONGEST_TEXT)}", style="yellow")
        for about, text in warnings(view)
    ]
    return lines


def _about(name: str) -> str:
    return f"{one_line(name, _LONGEST_NAME)}: " if name else ""


def markdown(result: Result) -> str:
    """Return the comparison as Markdown that fits a pull-request comment; what does not fit is counted."""
    view = View(result)
    parts = [_markdown_head(view)]
    blocks = [
        ("students", _markdown_students(view)),
        ("students of studies", _markdown_studies(view)),
        ("task results", _markdown_tasks(view)),
        ("measures", _markdown_more(view)),
        ("training steps", _markdown_training(view)),
        ("warnings", _markdown_warnings(view)),
    ]
    room = _ROOM - len(parts[0])
    for noun, lines in blocks:
        kept, room = _fitting(lines, room)
        left_out = len(lines) - len(kept)
        parts += ["".join(kept), f"\n_{left_out:,} more {noun} are in the full report._\n" if left_out else ""]
        parts.append("\n" if lines else "")
    return "".join(parts).rstrip() + "\n"


def _markdown_head(view: View) -> str:
    result, verdict = view.result, words.VERDICTS[view.result.verdict]
    recommended = (
        f"**Recommended:** {_escape(view.recommended.label)}" if view.recommended else "No student is recommended."
    )
    intervals = (
        f"Intervals at {view.level}. “×” means: times better than the teacher. "
        f"distbench {_escape(result.distbench)}, run {_escape(result.run)}."
    )
    lines = [
        f"## {verdict.glyph} {result.verdict.replace('_', ' ')}: {_escape(result.suite)}",
        f"{verdict.meaning}: {_escape(result.verdict_reason, 2000)}",
        recommended,
        intervals,
    ]
    return "\n\n".join(lines) + "\n\n"


def _markdown_students(view: View) -> list[str]:
    rows = []
    energy = any(not view.ratio(student, "energy").missing for student in view.students)
    for student in view.students:
        verdict = words.VERDICTS[student.verdict]
        shown = {name: cell for name, cell in student_cells(view, student).items() if name != "Energy" or energy}
        shown["Worst task"] = replace(shown["Worst task"], interval=_escape(shown["Worst task"].interval))
        items = numbers.count(student.suite.retained.n)
        retained, *rest = map(str, shown.values())
        rows.append(
            _row([f"{verdict.glyph} {verdict.word}", _escape(student_name(student).strip()), retained, items, *rest])
        )
    names = [
        "Verdict",
        "Student",
        "Retained",
        "n",
        "Worst task",
        "Smaller (disk)",
        "Faster",
        "Less memory",
        *(["Less energy"] if energy else []),
        "Gap recovered",
    ]
    return _headed(_row(names) + _row(["---", "---", *["---:"] * (len(names) - 2)]), rows)


def _markdown_studies(view: View) -> list[str]:
    lines: list[str] = []
    for study in shown_studies(view):
        headings, rows = study_rows(view, study)
        axes = len(study.axes)
        head = _row([_escape(heading) for heading in headings]) + _row(
            ["---"] * axes + ["---:"] * (len(headings) - axes)
        )
        cells = [_row([*map(_escape, row[:axes]), *row[axes:]]) for row in rows]
        lines += _headed(f"{chr(10) if lines else ''}### Study {_escape(study.name)}\n\n{head}", cells)
    return lines


def _markdown_tasks(view: View) -> list[str]:
    rows = []
    for student in view.students:
        for task in student.tasks:
            verdict = words.VERDICTS[task.verdict]
            scores = [str(numbers.optional(value, numbers.plain, "")) for value in (task.teacher, task.student)]
            kept = [str(view.task_retained(task).brief), str(numbers.as_signed(task.delta).brief)]
            names = [_escape(task.task), _escape(student_name(student).strip()), numbers.count(task.n)]
            rows.append(_row([f"{verdict.glyph} {verdict.word}", *names, *scores, *kept]))
    head = _row(["Verdict", "Task", "Student", "n", "Teacher", "Student score", "Retained", "Δ"])
    return _headed(f"### Task by task\n\n{head}" + _row(["---", "---", "---", *["---:"] * 5]), rows)


def _markdown_more(view: View) -> list[str]:
    rows = [
        _row([_escape(row.student), _escape(row.task), _escape(row.measure, 120), str(row.shown)])
        for row in beyond_scores(view)
    ]
    head = _row(["Student", "Task", "Measure", "Seen"]) + _row(["---", "---", "---", "---:"])
    return _headed(f"### Beyond the scores\n\n{head}", rows)


def _markdown_training(view: View) -> list[str]:
    found = [distillation(view, student) for student in view.candidates if student.training]
    lines = [f"- **{_escape(answer, _LONGEST_TEXT)}** {_escape(why, _LONGEST_TEXT)}\n" for _, answer, why in found]
    return _headed("### Did distillation help?\n\n", lines)


def _markdown_warnings(view: View) -> list[str]:
    lines = [f"- {_escape(_about(about) + text, _LONGEST_TEXT)}\n" for about, text in warnings(view)]
    return _headed("### Warnings\n\n", lines)
