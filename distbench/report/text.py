"""The comparison as text: renderables for a terminal, and Markdown for a pull request."""

from __future__ import annotations

from dataclasses import replace

from rich import box
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from distbench.report import numbers, words
from distbench.report.beyond import beyond_scores
from distbench.report.findings import distillation, warnings
from distbench.report.numbers import Shown
from distbench.report.studies import shown_studies, study_rows
from distbench.report.view import View
from distbench.report.visible import markdown_text, one_line
from distbench.schema.result import Result, StudentResult

MARKDOWN_LIMIT = 65_536
_ROOM = 64_000  # leaves room for what a caller puts around it
_COLOURS = {"pass": "green", "fail": "red", "undecided": "yellow", "neutral": "bright_black"}
_LONGEST_NAME, _NARROWEST_NAME, _LONGEST_TEXT = 60, 14, 400
_MOST_MORE = 24  # lines about single tasks on a terminal; the report has all
_OPTIONAL = ("Energy", "Memory", "Gap rec.", "Faster")  # left out where no student has one, then where there is no room


def terminal_table(result: Result) -> list[RenderableType]:
    """Return the table of students and the verdict with the sentence that explains it; the caller prints them."""
    view = View(result)
    more = _more_table(view)
    return [
        *([_Students(view)] if view.students else []),
        *_study_tables(view),
        *([more] if more else []),
        Group(*_verdict_lines(view)),
    ]


class _Students:
    """The table of students, with as many columns as the terminal has room for."""

    def __init__(self, view: View) -> None:
        self.view = view
        self.rows = [(student, student_cells(view, student)) for student in view.students]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        left_out = {heading for heading in _OPTIONAL if all(cells[heading].missing for _, cells in self.rows)}
        for heading in ("", *_OPTIONAL):
            left_out |= {heading}
            narrowest = self.table(left_out, _NARROWEST_NAME).__rich_measure__(console, options.update_width(10_000))
            if narrowest.maximum <= options.max_width:
                break
        yield self.table(left_out)

    def table(self, left_out: set[str], name_width: int | None = None) -> Table:
        """Return the table without some columns; names break anywhere if they must."""
        table = Table(
            box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title=_facts(self.view), title_justify="left"
        )
        table.add_column("Verdict", no_wrap=True)
        table.add_column("Student", overflow="fold", width=name_width, min_width=_NARROWEST_NAME)
        headings = [heading for heading in self.rows[0][1] if heading not in left_out]
        for heading in headings:
            table.add_column(heading, justify="right", no_wrap=True)
        for student, cells in self.rows:
            verdict = words.VERDICTS[student.verdict]
            dim = "dim" if student.role == "control" else ""
            texts = [f"{cells[heading].text}\n{cells[heading].interval}".rstrip() for heading in headings]
            table.add_row(
                Text(f"{verdict.glyph} {verdict.word}", style=_COLOURS[verdict.tone]),
                Text(student_name(student), style=dim),
                *(Text(text, style=dim) for text in texts),
            )
        return table


def student_cells(view: View, student: StudentResult) -> dict[str, Shown]:
    """Return the numbers of a student; a missing one is a dash, and its reason is in the report."""
    worst = view.worst(student)
    lowest = view.worst_retained(student)
    cells = {
        "Retained": view.retained(student),
        "Worst task": replace(lowest, interval=one_line(worst.task, 20)) if worst else lowest,
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


def _facts(view: View) -> Text:
    students = words.plural(len(view.candidates), "student")
    tasks = words.plural(len(view.tasks), "task")
    suite = one_line(view.result.suite, 80)
    return Text(
        f"{suite}: {students}, {tasks}; intervals at {view.level}; × = times better than the teacher", style="dim"
    )


def _study_tables(view: View) -> list[Table]:
    """Return a table a study, a row a student."""
    tables = []
    for study in shown_studies(view):
        headings, rows = study_rows(view, study)
        table = Table(
            box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left",
            title=Text(f"study {one_line(study.name, _LONGEST_NAME)}", style="dim"),
        )  # fmt: skip
        for heading in headings:
            table.add_column(Text(one_line(heading, _LONGEST_NAME)), justify="right", overflow="fold")
        for row in rows:
            table.add_row(*(Text(one_line(cell, _LONGEST_NAME)) for cell in row))
        tables.append(table)
    return tables


def _more_table(view: View) -> Table | None:
    """Return what a score does not show, one line a measure; None where nothing of it was measured."""
    rows = beyond_scores(view)
    if not rows:
        return None
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for heading in ("Student", "Task", "Measure"):
        table.add_column(heading, overflow="fold")
    table.add_column("Seen", justify="right", overflow="fold")
    for row in rows[:_MOST_MORE]:
        table.add_row(
            Text(one_line(row.student, _LONGEST_NAME)),
            Text(one_line(row.task, _LONGEST_NAME)),
            Text(row.measure),
            Text(str(row.shown)),
        )
    if len(rows) > _MOST_MORE:
        table.caption = f"{len(rows) - _MOST_MORE} more in the report"
    return table


def _verdict_lines(view: View) -> list[RenderableType]:
    verdict = words.VERDICTS[view.result.verdict]
    line = Text()
    line.append(f"{verdict.glyph} {view.result.verdict.replace('_', ' ')}", style=f"bold {_COLOURS[verdict.tone]}")
    line.append(f" {verdict.meaning}: {one_line(view.result.verdict_reason, _LONGEST_TEXT)}")
    lines: list[RenderableType] = [line]
    if view.recommended:
        lines.append(Text(f"Recommended: {one_line(view.recommended.label, _LONGEST_NAME)}", style="bold"))
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


def _fitting(lines: list[str], room: int) -> tuple[list[str], int]:
    kept = []
    for line in lines:
        if len(line) > room - 200:
            break
        kept.append(line)
        room -= len(line)
    return kept, room


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


def _headed(head: str, lines: list[str]) -> list[str]:
    return [head + lines[0], *lines[1:]] if lines else []


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |\n"


def _escape(text: str, limit: int = _LONGEST_NAME) -> str:
    return markdown_text(text, limit)
