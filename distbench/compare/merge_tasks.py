"""Which tasks of several runs are the same: by version, data, prompts and metric, never by name alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distbench.compare.merge_names import free
from distbench.schema.result import Result, TaskResult

Key = tuple[str | float | None, ...]


@dataclass(frozen=True)
class Tasks:
    """For each run {its task: the name in the merged result}, where that is another; and what was told apart."""

    names: list[dict[str, str]]
    conflicts: list[str]


def told_apart(results: Sequence[Result], labels: Sequence[str]) -> Tasks:
    """Return names under which only tasks that asked the same stand together."""
    keys = [_keys(result) for result in results]
    names: list[dict[str, str]] = [{} for _ in results]
    conflicts = []
    every = dict.fromkeys(task for each in keys for task in each)
    taken = set(every)
    for task in every:
        groups: dict[Key, list[int]] = {}
        for run, found in enumerate(keys):
            if task in found:
                groups.setdefault(found[task], []).append(run)
        if len(groups) < 2:
            continue
        for runs in groups.values():
            wanted = f"{task} of {labels[runs[0]]}"
            own = free(wanted, taken.__contains__)
            taken.add(own)
            for run in runs:
                names[run][task] = own
        conflicts.append(_conflict(task, groups, labels))
    return Tasks(names, conflicts)


def _keys(result: Result) -> dict[str, Key]:
    found: dict[str, Key] = {}
    for student in result.students:
        for task in student.tasks:
            found.setdefault(task.task, _key(task))
        for each in student.divergence:
            found.setdefault(each.task, ("statement", each.metric, float(each.n)))
    return found


def _key(task: TaskResult) -> Key:
    """Return what makes a task itself. Where a result does not record it: its size and its teacher's score."""
    meaning = (task.metric, str(task.higher_is_better), task.baseline)
    asked = task.asked
    if asked.version is None:
        return ("not recorded", *meaning, float(task.n), task.teacher)
    return (asked.version, asked.data, asked.prompts, *meaning)


def _conflict(task: str, groups: dict[Key, list[int]], labels: Sequence[str]) -> str:
    keys = list(groups)
    what = "other samples, prompts or settings"
    if any(key[0] == "not recorded" for key in keys):
        what = "a run does not record what it asked, so nobody can say that it is the same"
    elif len({key[0] for key in keys}) > 1:
        what = "other versions: " + ", ".join(str(key[0]) for key in keys)
    elif len({key[1] for key in keys}) > 1:
        what = "other data"
    elif len({key[2] for key in keys}) > 1:
        what = "other prompts"
    elif len({key[3] for key in keys}) > 1:
        what = "other metrics: " + ", ".join(str(key[3]) for key in keys)
    who = "; ".join(", ".join(labels[run] for run in runs) for runs in groups.values())
    return f"{task} is not the same task in all runs ({what}): {who}. Its numbers stand apart."
