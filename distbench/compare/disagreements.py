"""Samples on which teacher and student differ in being right: what was lost, and what was won."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np

from distbench.compare.tasks import Compared
from distbench.schema.result import Disagreement
from distbench.store.samples import read_rows

PER_STUDENT = 500
TEXT = 2000
TEXTS = ("prompt", "label", "prediction")
MOST_GROUPS = 8  # dimensions of a sample: a page has no room for more


@dataclass(frozen=True)
class Found:
    """A disagreement before its texts are read: the task, and the place among its joined samples."""

    task: Compared
    at: int
    lost: bool


def disagreements(compared: list[Compared]) -> tuple[list[Disagreement], int]:
    """Return (samples to show, how many there are): lost ones first, tasks in turn, so that none crowds out another.

    Texts are read from the files only for the samples that are shown.
    """
    queues, total = [], 0
    for task in compared:
        if task.pair.facts.kind != "binary" or task.pair.facts.neutral is not None or task.pair.invalid is not None:
            continue
        lost, won = _flipped(task)
        total += len(lost) + len(won)
        queues.append([Found(task, int(at), True) for at in lost[:PER_STUDENT]])
        queues[-1] += [Found(task, int(at), False) for at in won[: PER_STUDENT - len(queues[-1])]]
    found: list[Found] = []
    for position in range(max(map(len, queues), default=0)):
        found += [queue[position] for queue in queues if position < len(queue)]
    found.sort(key=lambda each: not each.lost)  # stable: tasks stay in turn
    return _with_texts(found[:PER_STUDENT]), total


def _flipped(task: Compared) -> tuple[np.ndarray, np.ndarray]:
    sign = 1.0 if task.pair.facts.higher_is_better else -1.0
    change = sign * (task.pair.student - task.pair.teacher)
    return np.flatnonzero(change < 0), np.flatnonzero(change > 0)


def _with_texts(found: list[Found]) -> list[Disagreement]:
    wanted: dict[int, list[Found]] = defaultdict(list)
    for each in found:
        wanted[id(each.task)].append(each)
    texts: dict[tuple[int, int], tuple[dict[str, Any], dict[str, Any]]] = {}
    for mine in wanted.values():
        task = mine[0].task
        sides = []
        for side, places, file in zip(task.pair.sides, task.pair.places, task.files, strict=True):
            rows = side.rows[places][[each.at for each in mine]].tolist()
            read = read_rows(file.files, rows, ("sample_id", "groups", *TEXTS))
            sides.append([read[row] for row in rows])
        texts.update({(id(task), each.at): pair for each, *pair in zip(mine, *sides, strict=True)})
    return [_one(each, *texts[id(each.task), each.at]) for each in found]


def _one(found: Found, teacher: dict[str, Any], student: dict[str, Any]) -> Disagreement:
    return Disagreement(
        task=found.task.result.task,
        sample_id=str(teacher["sample_id"]),
        kind="lost" if found.lost else "won",
        prompt=_text(teacher["prompt"]),
        label=_text(teacher["label"]),
        teacher=_text(teacher["prediction"]),
        student=_text(student["prediction"]),
        groups=_groups(teacher["groups"]),
    )


def _groups(packed: str | None) -> dict[str, str]:
    found = json.loads(packed) if packed else {}
    return {_text(str(dimension)): _text(str(group)) for dimension, group in list(found.items())[:MOST_GROUPS]}


def _text(value: str | None) -> str:
    return "" if value is None else value[:TEXT]
