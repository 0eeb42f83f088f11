"""A table for a paper: LaTeX with booktabs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field

from distbench.exports.tex import tex
from distbench.protocols.export import Exported, Source, Writes
from distbench.report import numbers, words
from distbench.report.numbers import Shown
from distbench.report.view import View
from distbench.report.visible import one_line
from distbench.schema.result import StudentResult
from distbench.schema.strict import Strict

_NAME, _TASK = 60, 40
Cells = list[str]


class LaTeX:
    """`--format latex`: one table with its caption, for a document that loads booktabs."""

    class Options(Strict):
        """Options of the format."""

        table: Literal["students", "tasks"] = Field(
            "students", description="students: one row each; tasks: one row a student and task"
        )
        caption: str | None = Field(None, max_length=2_000, description="text above the table in place of ours")
        label: str = Field("tab:distbench", pattern=r"^[A-Za-z0-9:._-]{1,80}$", description="what \\ref names")
        controls: bool = Field(True, description="false: leave the controls out")
        unicode: bool = Field(False, description="true: keep all characters, for XeLaTeX and LuaLaTeX")

    summary: ClassVar[str] = "a booktabs table for a paper, in plain ASCII"
    writes: ClassVar[Writes] = "text"
    suffix: ClassVar[str] = ".tex"

    def __init__(self, options: Options) -> None:
        self.options = options

    def export(self, source: Source, to: Path | None) -> Exported:
        """Return the table."""
        view = View(source.result)
        students = view.students if self.options.controls else view.candidates
        rows = _student_rows if self.options.table == "students" else _task_rows
        columns, cells = rows(view, students)
        return Exported(text=self._table(view, columns, cells))

    def _table(self, view: View, columns: Sequence[tuple[str, str]], cells: Sequence[Cells]) -> str:
        lines = [
            "% Needs \\usepackage{booktabs}.",
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{self._tex(self.options.caption or _caption(view))}}}",
            f"\\label{{{self.options.label}}}",
            f"\\begin{{tabular}}{{{''.join(align for _, align in columns)}}}",
            "\\toprule",
            self._row([heading for heading, _ in columns]),
            "\\midrule",
            *(self._row(row) for row in cells),
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
        ]
        return "\n".join(lines) + "\n"

    def _row(self, cells: Sequence[str]) -> str:
        return " & ".join(map(self._tex, cells)) + " \\\\"

    def _tex(self, text: str) -> str:
        return tex(text, unicode=self.options.unicode)


def _caption(view: View) -> str:
    """Return what a reader needs to read the table by itself."""
    result = view.result
    gate = view.threshold("retained")
    asked = "" if gate is None else f" The gate asks for {numbers.whole_percent(gate)} retained."
    teachers = one_line(", ".join(dict.fromkeys(teacher.label for teacher in result.teachers)), 120)
    return (
        f"Students compared with {teachers or 'a teacher'} ({one_line(result.suite, 80)}). Retained: share of the "
        f"teacher's skill above chance, with {view.level} interval; n: samples; ×: times better than the "
        f"teacher.{asked}"
    )


def _student_rows(view: View, students: Sequence[StudentResult]) -> tuple[list[tuple[str, str]], list[Cells]]:
    """Return the columns and a row a student. A measure that no student has is left out."""
    measures = {"Faster": "latency", "Less memory": "memory", "Less energy": "energy"}
    asked = {
        heading: meter
        for heading, meter in measures.items()
        if any(not view.ratio(student, meter).missing for student in students)
    }
    gap = any(not view.gap(student).missing for student in students)
    numbered = ["Retained", "n", "Worst task", "Smaller (disk)", *asked, *(["Gap recovered"] if gap else [])]
    columns = [("Student", "l"), ("Verdict", "l"), *((heading, "r") for heading in numbered)]
    rows = []
    for student in students:
        cells = [
            _brief(view.retained(student)),
            numbers.count(student.suite.retained.n),
            _worst(view, student),
            _brief(view.compression(student)),
            *(_brief(view.ratio(student, meter)) for meter in asked.values()),
            *([_brief(view.gap(student))] if gap else []),
        ]
        rows.append([_name(student), words.VERDICTS[student.verdict].word, *cells])
    return columns, rows


def _task_rows(view: View, students: Sequence[StudentResult]) -> tuple[list[tuple[str, str]], list[Cells]]:
    headings = ["n", "Teacher", "Student score", "Retained", "Difference"]
    columns = [("Task", "l"), ("Metric", "l"), ("Student", "l"), ("Verdict", "l"), *((each, "r") for each in headings)]
    return columns, [row for student in students for row in _tasks_of(view, student)]


def _tasks_of(view: View, student: StudentResult) -> Iterator[Cells]:
    for task in student.tasks:
        scores = [numbers.optional(value, numbers.plain, "no score") for value in (task.teacher, task.student)]
        shown = [*scores, view.task_retained(task), numbers.as_signed(task.delta)]
        names = [one_line(task.task, _TASK), one_line(task.metric, _TASK), _name(student)]
        verdict = words.VERDICTS[task.verdict].word
        yield [*names, verdict, numbers.count(task.n), *(_brief(each) for each in shown)]


def _brief(shown: Shown) -> str:
    """Return a number with its interval; of a missing one the dash and the kind of reason."""
    return str(shown.brief)


def _worst(view: View, student: StudentResult) -> str:
    worst = view.worst(student)
    lowest = view.worst_retained(student)
    return lowest.text if worst is None else f"{lowest.text} {one_line(worst.task, _TASK)}"


def _name(student: StudentResult) -> str:
    told = student.role != "control" or "control" in student.label.lower()
    label = one_line(student.label, _NAME)
    return label if told else f"{label} (control)"
