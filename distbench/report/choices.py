"""What a reader may narrow the whole page to: one student, those that pass, those of one teacher."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from distbench.report.view import View
from distbench.schema.result import StudentResult


@dataclass(frozen=True)
class Choice:
    """A set of models. `group` is the heading under which the choice stands."""

    group: str
    label: str
    names: list[str]


def choices(view: View) -> list[Choice]:
    """Return every choice that leaves some models out; none where there is one student only."""
    if len(view.candidates) < 2:
        return []
    everyone = len(view.students)
    return [each for each in _all(view) if 0 < len(each.names) < everyone]


def _all(view: View) -> Iterator[Choice]:
    yield Choice("Kinds", "students without their controls", [student.name for student in view.candidates])
    passing = [student for student in view.candidates if student.verdict == "PASS"]
    yield Choice("Kinds", "students that pass", _with_controls(view, passing))
    for run in view.result.runs:
        yield Choice("Models of a run", run.label, [name for name in run.students if name in view.by_name])
    for machine in _machines(view):
        names = {name for run in view.result.runs if run.machine == machine for name in run.students}
        yield Choice("Models on a machine", machine, [each.name for each in view.students if each.name in names])
    for teacher in view.result.teachers:
        mine = [student.name for student in view.students if view.teacher_of(student) is teacher]
        yield Choice("Students of a teacher", teacher.label, mine)
    for student in view.candidates:
        yield Choice("One student and its controls", student.label, _with_controls(view, [student]))


def _machines(view: View) -> list[str]:
    """Return the machines of the runs of a page; none where all are of one."""
    found = list(dict.fromkeys(run.machine for run in view.result.runs))
    return found if len(found) > 1 else []


def _with_controls(view: View, students: Sequence[StudentResult]) -> list[str]:
    names = {student.name for student in students}
    return [student.name for student in view.students if student.name in names or student.control_of in names]
