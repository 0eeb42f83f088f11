"""Students, tasks and measures by name. A name that a run does not have is an error, never a test that passes."""

from __future__ import annotations

from collections.abc import Sequence

from distbench.errors import UsageError, did_you_mean
from distbench.report.visible import one_line
from distbench.schema.result import Measurement, Result, StudentResult, TaskResult

_MOST = 12


def student_named(result: Result, name: str) -> StudentResult:
    """Return a student or control."""
    found = next((each for each in result.students if each.name == name), None)
    if found is None:
        raise UsageError(_unknown("student", name, [each.name for each in result.students]))
    return found


def task_named(student: StudentResult, name: str) -> TaskResult:
    """Return a task of a student."""
    found = next((each for each in student.tasks if each.task == name), None)
    if found is None:
        raise UsageError(_unknown(f"task of {student.name}", name, [each.task for each in student.tasks]))
    return found


def measurement_named(student: StudentResult, metric: str, workload: str | None) -> Measurement:
    """Return the measurement of a metric; the first workload where none is named."""
    mine = [each for each in student.measurements if each.metric == metric]
    if not mine:
        raise UsageError(_unknown(f"measure of {student.name}", metric, [each.metric for each in student.measurements]))
    found = next((each for each in mine if workload in {None, each.workload}), None)
    if found is None:
        raise UsageError(_unknown(f"workload of {metric}", workload or "", [each.workload for each in mine]))
    return found


def unfinished_tasks(result: Result, student: StudentResult) -> list[str]:
    """Return the tasks that were planned for a student's teacher and have no result of the student."""
    teacher = next((each for each in result.teachers if each.name in student.of[:1]), None)
    done = {each.task for each in student.tasks} | {each.task for each in student.divergence}
    return [] if teacher is None else [task for task in teacher.scores if task not in done]


def _unknown(noun: str, name: str, known: Sequence[str]) -> str:
    names = list(dict.fromkeys(known))
    shown = ", ".join(one_line(each, 60) for each in names[:_MOST]) or "none"
    more = f" and {len(names) - _MOST} more" if len(names) > _MOST else ""
    return f"no {noun} is called {one_line(name, 80)!r}{did_you_mean(name[:80], names)} (there are: {shown}{more})"
