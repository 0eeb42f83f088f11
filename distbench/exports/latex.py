"""A table for a paper: LaTeX with booktabs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal, get_args

from pydantic import Field

from distbench.exports.tex import tex
from distbench.protocols.export import Exported, Source, Writes
from distbench.report import numbers, words
from distbench.report.numbers import SPACE, Shown
from distbench.report.view import View
from distbench.report.visible import one_line
from distbench.schema.result import StudentResult
from distbench.schema.strict import Strict

_NAME, _TASK = 60, 40
_WIDTHS = {"students": 0.2, "tasks": 0.36}  # of the first column: names wrap, so that the table fits a page
Name = Literal["verdict", "retained", "n", "worst", "smaller", "faster", "memory", "energy", "gap"]


@dataclass(frozen=True)
class Column:
    """A column of the table of students. `unit` stands in the heading, so it leaves the cells."""

    heading: str
    unit: str
    cell: Callable[[View, StudentResult], Shown]


_COLUMNS: dict[Name, Column] = {
    "verdict": Column("Verdict", "", lambda _, student: Shown(words.VERDICTS[student.verdict].word)),
    "retained": Column("Retained", f"{SPACE}%", lambda view, student: view.retained(student)),
    "n": Column("n", "", lambda _, student: Shown(numbers.count(student.suite.retained.n))),
    "worst": Column("Worst", f"{SPACE}%", lambda view, student: _short(view.worst_retained(student))),
    "smaller": Column("Smaller", "×", lambda view, student: view.compression(student)),
    "faster": Column("Faster", "×", lambda view, student: view.ratio(student, "latency")),
    "memory": Column("Less memory", "×", lambda view, student: view.ratio(student, "memory")),
    "energy": Column("Less energy", "×", lambda view, student: view.ratio(student, "energy")),
    "gap": Column("Gap recovered", f"{SPACE}%", lambda view, student: view.gap(student)),
}


class LaTeX:
    """`--format latex`: one table with its caption, for a document that loads booktabs."""

    class Options(Strict):
        """Options of the format."""

        table: Literal["students", "tasks"] = Field(
            "students", description="students: one row each; tasks: one row a student and task"
        )
        columns: list[Name] = Field(
            ["verdict", "retained", "n", "worst", "smaller", "faster"],
            min_length=1,
            description=f"of the table of students: {', '.join(get_args(Name))}",
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
        rows = self._student_rows if self.options.table == "students" else self._task_rows
        align, lines = rows(view, students)
        table = [
            "% Needs \\usepackage{booktabs}.",
            "\\begin{table}",
            "\\centering",
            f"\\caption{{{self._tex(self.options.caption or _caption(view))}}}",
            f"\\label{{{self.options.label}}}",
            "\\footnotesize",
            "\\setlength{\\tabcolsep}{2.5pt}",
            f"\\begin{{tabular}}{{{align}}}",
            *lines,
            "\\bottomrule",
            "\\end{tabular}",
            "\\end{table}",
        ]
        return Exported(text="\n".join(table) + "\n")

    def _student_rows(self, view: View, students: Sequence[StudentResult]) -> tuple[str, list[str]]:
        """Return the alignment and the lines: a row a student."""
        columns = [_COLUMNS[name] for name in self.options.columns]
        headings = [f"{each.heading} ({each.unit.strip()})" if each.unit else each.heading for each in columns]
        rows = [
            [_name(student), *(_bare(each.cell(view, student), each.unit) for each in columns)] for student in students
        ]
        return self._align(len(columns)), [*self._head(["Student", *headings]), *map(self._row, rows)]

    def _task_rows(self, view: View, students: Sequence[StudentResult]) -> tuple[str, list[str]]:
        """Return the alignment and the lines: a block a student, in it a row a task."""
        headings = ["Task (metric)", "Verdict", "n", "Teacher", "Student", "Retained (%)"]
        lines = self._head(headings)
        for number, student in enumerate(each for each in students if each.tasks):
            lines += ["\\addlinespace"] if number else []
            lines.append(f"\\multicolumn{{{len(headings)}}}{{@{{}}l}}{{\\emph{{{self._tex(_name(student))}}}}} \\\\")
            lines += map(self._row, _tasks_of(view, student))
        return self._align(len(headings) - 1), lines

    def _align(self, numbered: int) -> str:
        return f"@{{}}p{{{_WIDTHS[self.options.table]}\\linewidth}}{'r' * numbered}@{{}}"

    def _head(self, headings: Sequence[str]) -> list[str]:
        return ["\\toprule", self._row(headings), "\\midrule"]

    def _row(self, cells: Sequence[str]) -> str:
        first, *rest = map(self._tex, cells)
        return " & ".join([f"\\raggedright {first}", *rest]) + " \\\\"

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
        f"teacher's skill above chance, with {view.level} interval; worst: of the task on which it keeps least; n: "
        f"samples; ×: times better than the teacher, in size on disk where it says smaller.{asked}"
    )


def _tasks_of(view: View, student: StudentResult) -> Iterator[list[str]]:
    for task in student.tasks:
        scores = [str(numbers.optional(value, numbers.plain, "no score")) for value in (task.teacher, task.student)]
        name = f"{one_line(task.task, _TASK)} ({one_line(task.metric, _TASK)})"
        kept = _bare(view.task_retained(task), f"{SPACE}%")
        yield [name, words.VERDICTS[task.verdict].word, numbers.count(task.n), *scores, kept]


def _short(shown: Shown) -> Shown:
    """Return a number without its interval."""
    return Shown(shown.text, title=shown.title, missing=shown.missing)


def _bare(shown: Shown, unit: str) -> str:
    """Return a number with its interval, without the unit that the heading has; of a missing one the kind of reason."""
    if shown.missing:
        return str(shown.brief)
    return f"{shown.text.removesuffix(unit)} {shown.interval}".strip()


def _name(student: StudentResult) -> str:
    told = student.role != "control" or "control" in student.label.lower()
    label = one_line(student.label, _NAME)
    return label if told else f"{label} (control)"
