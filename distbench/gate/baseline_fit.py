"""Can an earlier run be a baseline of this one? Another teacher, other tasks or other data are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from distbench.errors import UsageError
from distbench.report.visible import one_line
from distbench.schema.result import Result, StudentResult, TeacherResult

_NAMED = 5


def refuse_unlike(base: Result, now: Result, pairs: Mapping[str, str], path: Path, *, retention: bool) -> None:
    """Raise UsageError where students' numbers of the two runs are not about the same thing.

    `pairs`: student now → student then. `retention`: a rule is about what is retained, so tasks must be the same.
    """
    then = {each.name: each for each in base.students}
    mine = {each.name: each for each in now.students}
    both = [(mine[new], then[old]) for new, old in pairs.items() if old in then]
    if not both:
        _some_teacher(base, now, path)
    for new, old in both:
        _same_teacher(new, old, base, now, path)
        if retention:
            _same_tasks(new, old, path)
    if retention and both:
        _same_plan(base, now, path)


def _same_teacher(new: StudentResult, old: StudentResult, base: Result, now: Result, path: Path) -> None:
    one, other = _teacher(now, new), _teacher(base, old)
    if one is None or other is None or one.identity == other.identity:
        return
    raise UsageError(
        f"the baseline {path} compares {_called(old)} with another teacher ({_named(other)}) than this run compares "
        f"{_called(new)} with ({_named(one)}): what is retained of two teachers cannot be compared; name a run with "
        f"the same teacher"
    )


def _some_teacher(base: Result, now: Result, path: Path) -> None:
    """Refuse a run without any teacher of this one; a student that is only new is for the verdict to say."""
    if not {each.identity for each in base.teachers} & {each.identity for each in now.teachers}:
        here, there = (_some([_named(each) for each in run.teachers]) for run in (now, base))
        raise UsageError(f"the baseline {path} has none of this run's teachers ({there} there, {here} here)")


def _same_plan(base: Result, now: Result, path: Path) -> None:
    """Refuse runs that planned other tasks; one that is there but unfinished is for the verdict to say."""
    here, there = (list(dict.fromkeys(task for each in run.teachers for task in each.scores)) for run in (now, base))
    only_here, only_there = [each for each in here if each not in there], [each for each in there if each not in here]
    if not only_here and not only_there:
        return
    parts = [f"only here: {_some(only_here)}"] if only_here else []
    parts += [f"only there: {_some(only_there)}"] if only_there else []
    raise UsageError(f"the baseline {path} asked other tasks ({'; '.join(parts)}); what is retained of them cannot be "
                     "compared")  # fmt: skip


def _same_tasks(new: StudentResult, old: StudentResult, path: Path) -> None:
    before = {task.task: task for task in old.tasks}
    for task in new.tasks:
        other = before.get(task.task)
        if other is None:
            continue
        name = one_line(task.task, 80)
        if task.metric != other.metric:
            raise UsageError(f"the baseline {path} scored {name} by {other.metric}, this run by {task.metric}")
        for what, one, two in (
            ("version", other.asked.version, task.asked.version),
            ("data", other.asked.data, task.asked.data),
        ):
            if one is not None and two is not None and one != two:
                shown = f"{one_line(one, 24)} there, {one_line(two, 24)} here"
                raise UsageError(f"the baseline {path} asked another {what} of {name} ({shown}); never mixed")


def _teacher(result: Result, student: StudentResult) -> TeacherResult | None:
    return next((each for each in result.teachers if student.of and each.name == student.of[0]), None)


def _named(teacher: TeacherResult) -> str:
    return f"{one_line(teacher.label, 60)}, content {teacher.identity[:12]}"


def _called(student: StudentResult) -> str:
    return one_line(student.label, 60)


def _some(names: list[str]) -> str:
    shown = ", ".join(one_line(name, 60) for name in names[:_NAMED])
    return shown + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
