"""The teachers of several runs: one where content, machine and scores are the same, apart otherwise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from distbench.compare.merge_names import free, renamed_teacher
from distbench.schema.result import Result, TeacherResult


@dataclass
class Teachers:
    """The teachers of the merged result, and for each run {its teacher: the name there}."""

    teachers: list[TeacherResult] = field(default_factory=list)
    names: list[dict[str, str]] = field(default_factory=list)
    machines: list[str] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


def joined_teachers(
    results: Sequence[Result], labels: Sequence[str], tasks: Sequence[dict[str, str]], machines: Sequence[str]
) -> Teachers:
    """Return every teacher once; its noise floors stand together only where they were measured on one machine."""
    found = Teachers()
    for run, result in enumerate(results):
        found.names.append({})
        for teacher in result.teachers:
            _add(found, renamed_teacher(teacher, tasks[run]), labels[run], machines[run])
    return found


def _add(found: Teachers, teacher: TeacherResult, label: str, machine: str) -> None:
    for place, other in enumerate(found.teachers):
        if other.identity == teacher.identity and found.machines[place] == machine and _agree(other, teacher):
            found.teachers[place] = other.model_copy(
                update={
                    "scores": teacher.scores | other.scores | _known(teacher) | _known(other),
                    "again": [*other.again, *(each for each in teacher.again if each not in other.again)],
                    "notes": list(dict.fromkeys([*other.notes, *teacher.notes])),
                    "training": other.training or teacher.training,
                }
            )
            found.names[-1][teacher.name] = other.name
            return
    names = {each.name for each in found.teachers}
    name = free(teacher.name, names.__contains__)
    same_label = [each for each in found.teachers if each.label == teacher.label]
    if same_label:
        found.conflicts.append(f"The teacher {teacher.label} of {label} {_why(teacher, same_label)}: it stands apart.")
        teacher = teacher.model_copy(update={"label": f"{teacher.label} of {label}"})
    found.teachers.append(teacher.model_copy(update={"name": name}))
    found.machines.append(machine)
    found.names[-1][teacher.name] = name


def _why(teacher: TeacherResult, others: Sequence[TeacherResult]) -> str:
    twin = next((each for each in others if each.identity == teacher.identity), None)
    if twin is not None:
        return "was measured on another machine" if _agree(twin, teacher) else "is the same model with other scores"
    alike = any(_agree(each, teacher) for each in others)
    return "is recorded as another model of that name" + (", although its scores are the same" if alike else "")


def _known(teacher: TeacherResult) -> dict[str, float | None]:
    return {task: score for task, score in teacher.scores.items() if score is not None}


def _agree(one: TeacherResult, other: TeacherResult) -> bool:
    """Say whether two evaluations of one teacher gave the same scores on the tasks that both have."""
    both = {task for task in one.scores if task in other.scores and None not in {one.scores[task], other.scores[task]}}
    return all(one.scores[task] == other.scores[task] for task in both)
