"""One task: every student on it beside the teacher, and how each verdict was reached."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.text import Text

from distbench.report import numbers, words
from distbench.report.terminal.grid import Column, Grid, Row, name, verdict_cell
from distbench.report.text import student_name
from distbench.report.view import View
from distbench.report.visible import one_line
from distbench.schema.result import StudentResult, TaskResult

_LONG = 400


def task_parts(view: View, task: str) -> list[RenderableType]:
    """Return what there is to say about a task, which some student was asked."""
    found = [(student, each) for student in view.students for each in student.tasks if each.task == task]
    statements = [(student, each) for student in view.students for each in student.divergence if each.task == task]
    parts: list[RenderableType] = []
    if found:
        first = found[0][1]
        better = "higher" if first.higher_is_better else "lower"
        chance = f"chance {numbers.plain(first.baseline)}; intervals at {view.level}"
        facts = f"{name(task)}: {words.humanise(first.metric)}, {better} is better, {chance}"
        parts += [Text(facts, style="dim"), Group(_scores(view, found), ""), *_reasons(found)]
        groups = _groups(found)
        parts += [Text(), groups] if groups.rows else []
        lengths = _lengths(found)
        parts += [Text(), lengths] if lengths.rows else []
    if statements:
        columns = [Column("Student"), Column("Statement"), Column("Value", number=True), Column("n", number=True)]
        rows = [
            Row([
                student_name(student),
                words.divergence_words(each.metric),
                numbers.as_plain(each.value),
                numbers.count(each.n),
            ])
            for student, each in statements
        ]  # fmt: skip
        parts.append(Grid(columns, rows, title=f"{name(task)}: the student against its teacher"))
    return parts


def _scores(view: View, found: list[tuple[StudentResult, TaskResult]]) -> Grid:
    columns = [
        Column("Verdict"),
        Column("Student"),
        Column("n", number=True, drop=5),
        Column("Teacher", number=True, drop=1),
        Column("Student", number=True, drop=1),
        Column("Retained", number=True),
        Column("Δ", number=True, drop=2),
        Column("Same answer", number=True, drop=4),
        Column("Lost", number=True, drop=3),
        Column("Won", number=True, drop=6),
    ]
    rows = []
    for student, task in found:
        says = task.fidelity
        rows.append(
            Row(
                [
                    verdict_cell(task.verdict),
                    student_name(student),
                    numbers.count(task.n),
                    numbers.optional(task.teacher, numbers.plain, ""),
                    numbers.optional(task.student, numbers.plain, ""),
                    view.task_retained(task),
                    numbers.as_signed(task.delta),
                    numbers.perhaps(says.agreement, numbers.as_percent, ""),
                    numbers.perhaps(says.negative_flips, numbers.as_percent, ""),
                    numbers.perhaps(says.positive_flips, numbers.as_percent, ""),
                ],
                "dim" if student.role == "control" else "",
            )
        )
    return Grid(columns, rows, names=2)


def _reasons(found: list[tuple[StudentResult, TaskResult]]) -> list[RenderableType]:
    said = [(student, task.reason) for student, task in found if task.reason and student.role == "student"]
    return [Text(one_line(f"{name(student.label)}: {reason}", _LONG)) for student, reason in said]


def _groups(found: list[tuple[StudentResult, TaskResult]]) -> Grid:
    columns = [
        Column("Dimension"),
        Column("Group"),
        Column("n", number=True),
        Column("Retained", number=True),
        Column("Verdict"),
    ]
    rows = [
        Row(
            [
                name(dimension.dimension),
                name(group.group),
                numbers.count(group.n),
                numbers.as_percent(group.retained, (dimension.floor,)),
                verdict_cell(group.verdict) if group.verdict else "not judged",
            ],
            group=name(student.label),
        )
        for student, task in found
        for dimension in task.groups
        for group in dimension.groups
    ]
    return Grid(columns, rows, title="Groups", names=2)


def _lengths(found: list[tuple[StudentResult, TaskResult]]) -> Grid:
    columns = [Column("Length", number=True), Column("n", number=True), Column("Retained", number=True), Column("")]
    rows = [
        Row(
            [
                f"{numbers.count(bucket.length)} tokens",
                numbers.count(bucket.n),
                numbers.as_percent(bucket.retained, (task.context.margin,)),
                verdict_cell(bucket.verdict),
            ],
            group=name(student.label),
        )
        for student, task in found
        if task.context
        for bucket in task.context.buckets
    ]
    return Grid(columns, rows, title="Context length")
