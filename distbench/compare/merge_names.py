"""Names that stay apart when runs are put together: equal names of different things get their run, or a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from distbench.schema.result import Result, StudentResult, SuiteScore, TaskResult, TeacherResult
from distbench.schema.studies import Study

Names = Mapping[str, str]


def run_labels(results: Sequence[Result]) -> list[str]:
    """Return a label for each run: its name; with its date where names are equal, with a number where dates are."""
    names = [result.run for result in results]
    dated = [
        name if names.count(name) == 1 else f"{name} of {_minute(result.created_at)}"
        for name, result in zip(names, results, strict=True)
    ]
    return numbered(dated)


def _minute(created_at: str) -> str:
    return created_at[:16].replace("T", " ") or "an unknown date"


def numbered(labels: Sequence[str]) -> list[str]:
    """Return the labels with a number behind those that occur several times."""
    total, seen = Counter(labels), Counter[str]()
    found = []
    for label in labels:
        seen[label] += 1
        found.append(label if total[label] == 1 else f"{label} ({seen[label]})")
    return found


def free(wanted: str, taken: Callable[[str], bool]) -> str:
    """Return the wanted name, or the first of it with a number that is not taken."""
    if not taken(wanted):
        return wanted
    return next(name for k in range(2, 1_000_000) if not taken(name := f"{wanted} ({k})"))


def _of(names: Names, name: str) -> str:
    return names.get(name, name)


def renamed_student(student: StudentResult, models: Names, tasks: Names, **more: object) -> StudentResult:
    """Return a student whose models and tasks go by the names of the merged result."""
    seeds = student.seeds
    if seeds is not None:
        rows = [
            row.model_copy(
                update={
                    "scores": {_of(tasks, task): score for task, score in row.scores.items()},
                    "control": {_of(tasks, task): score for task, score in row.control.items()},
                }
            )
            for row in seeds.rows
        ]
        seeded = [each.model_copy(update={"task": _of(tasks, each.task)}) for each in seeds.tasks]
        seeds = seeds.model_copy(update={"rows": rows, "tasks": seeded})
    return student.model_copy(
        update={
            "name": _of(models, student.name),
            "of": [_of(models, each) for each in student.of],
            "control_of": None if student.control_of is None else _of(models, student.control_of),
            "control": None if student.control is None else _of(models, student.control),
            "tasks": [_task(each, tasks) for each in student.tasks],
            "suite": renamed_score(student.suite, tasks),
            "task_groups": {name: renamed_score(each, tasks) for name, each in student.task_groups.items()},
            "divergence": [each.model_copy(update={"task": _of(tasks, each.task)}) for each in student.divergence],
            "gate": [
                each if each.task is None else each.model_copy(update={"task": _of(tasks, each.task)})
                for each in student.gate
            ],
            "disagreements": [
                each if each.task not in tasks else each.model_copy(update={"task": tasks[each.task]})
                for each in student.disagreements
            ],
            "seeds": seeds,
            **more,
        }
    )


def _task(task: TaskResult, tasks: Names) -> TaskResult:
    return task if task.task not in tasks else task.model_copy(update={"task": tasks[task.task]})


def renamed_score(score: SuiteScore, tasks: Names) -> SuiteScore:
    """Return a score over tasks whose tasks go by other names."""
    return score.model_copy(
        update={
            "worst_task": None if score.worst_task is None else _of(tasks, score.worst_task),
            "left_out": [_of(tasks, each) for each in score.left_out],
            "samples": {_of(tasks, task): counts for task, counts in score.samples.items()},
        }
    )


def renamed_teacher(teacher: TeacherResult, tasks: Names, **more: object) -> TeacherResult:
    """Return a teacher whose tasks go by other names."""
    scores = {_of(tasks, task): score for task, score in teacher.scores.items()}
    return teacher.model_copy(update={"scores": scores, **more})


def renamed_study(study: Study, models: Names, tasks: Names, name: str) -> Study:
    """Return a study whose models and tasks go by other names."""
    entries = [
        entry.model_copy(
            update={
                "student": _of(models, entry.student),
                "control": None if entry.control is None else _of(models, entry.control),
                "scores": {_of(tasks, task): score for task, score in entry.scores.items()},
                "control_scores": {_of(tasks, task): score for task, score in entry.control_scores.items()},
            }
        )
        for entry in study.entries
    ]
    return study.model_copy(update={"name": name, "teacher": _of(models, study.teacher), "entries": entries})
