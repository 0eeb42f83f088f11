"""Samples on which teacher and student differ in being right: what was lost, and what was won."""

from __future__ import annotations

from distbench.compare.tasks import Compared
from distbench.schema.result import Disagreement

PER_STUDENT = 500
TEXT = 2000


def disagreements(compared: list[Compared]) -> tuple[list[Disagreement], int]:
    """Return (samples to show, how many there are): lost ones first, tasks in turn, so that none crowds out another."""
    queues = []
    for task in compared:
        if task.pair.facts.kind != "binary" or task.pair.invalid is not None:
            continue
        rows = task.pair.rows
        rows = rows[rows["score_t"] != rows["score_s"]]
        rows = rows.sort_values("score_t", ascending=not task.pair.facts.higher_is_better, kind="stable")
        queues.append([_one(task.result.task, index, row) for index, row in rows.iterrows()])
    total = sum(map(len, queues))
    found: list[Disagreement] = []
    for position in range(max(map(len, queues), default=0)):
        found += [queue[position] for queue in queues if position < len(queue)]
    found.sort(key=lambda d: d.kind != "lost")  # stable: tasks stay in turn
    return found[:PER_STUDENT], total


def _one(task: str, sample_id: object, row: object) -> Disagreement:
    def text(name: str) -> str:
        value = row[name]  # type: ignore[index]
        return "" if value is None else str(value)[:TEXT]

    return Disagreement(
        task=task,
        sample_id=str(sample_id),
        kind="lost" if row["score_t"] > row["score_s"] else "won",  # type: ignore[index]
        prompt=text("prompt_t"),
        label=text("label_t"),
        teacher=text("prediction_t"),
        student=text("prediction_s"),
    )
