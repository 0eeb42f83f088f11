"""What a score does not show, one line a measure: fidelity, calibration, groups, context length, bias, divergence."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from distbench.report import numbers, words
from distbench.report.numbers import Shown
from distbench.report.view import View
from distbench.report.visible import one_line
from distbench.schema.result import StudentResult, TaskResult


@dataclass(frozen=True)
class Line:
    """One measure of one student on one task."""

    student: str
    task: str
    measure: str
    shown: Shown


def beyond_scores(view: View) -> list[Line]:
    """Return the lines of every student but the controls."""
    return [line for student in view.candidates for line in _of(view, student)]


def _of(view: View, student: StudentResult) -> Iterator[Line]:
    for name, group in student.task_groups.items():
        shown = numbers.as_percent(group.retained, view.against("task_floor"))
        yield Line(student.label, name, f"retained, group of tasks: {words.VERDICTS[group.verdict].word}", shown)
    yield from _fidelity(view, student)
    yield from _brier(student)
    for task in student.tasks:
        for measure, shown in _parts(view, task):
            yield Line(student.label, task.task, measure, shown)
    for found in student.divergence:
        if found.primary:
            shown = numbers.as_plain(found.value, view.against("max_kl"))
            yield Line(student.label, found.task, words.divergence_words(found.metric), shown)


def _fidelity(view: View, student: StudentResult) -> Iterator[Line]:
    """Yield the task with the least agreement and the one with the most answers lost: all of them are in the report."""
    agreed = [(task, found) for task in student.tasks if (found := task.fidelity.agreement)]
    lost = [(task, found) for task in student.tasks if (found := task.fidelity.negative_flips)]
    for name, rows, against, sign in (
        ("same answer, least", agreed, (), 1.0),
        ("answers lost, most", lost, view.against("max_negative_flips"), -1.0),
    ):
        known = [(task, found) for task, found in rows if found.value is not None]
        if known:
            task, found = min(known, key=lambda row: sign * (row[1].value or 0.0))
            yield Line(student.label, task.task, name, numbers.as_percent(found, against))


def _brier(student: StudentResult) -> Iterator[Line]:
    """Yield the task on which the stated probabilities lose most: all of them are in the report."""
    rows = [(task, task.calibration.brier.delta) for task in student.tasks if task.calibration]
    known = [(found.value, task, found) for task, found in rows if found is not None and found.value is not None]
    if known:
        _, task, found = min(known, key=lambda row: row[0])
        measure = "Δ Brier score, + is better" + (f", worst of {len(known)} tasks" if len(known) > 1 else "")
        yield Line(student.label, task.task, measure, numbers.as_signed(found))


def _parts(view: View, task: TaskResult) -> Iterator[tuple[str, Shown]]:
    if task.byte_perplexity_ratio:
        yield "Δ bits per byte, + is better", numbers.as_signed(task.delta)
    for dimension in task.groups:
        if dimension.worst_group_retained and dimension.worst_group:
            shown = numbers.as_percent(dimension.worst_group_retained, (dimension.floor,))
            yield one_line(f"retained, worst {dimension.dimension}: {dimension.worst_group}", 80), shown
    if task.context:
        length = task.context.effective_length
        yield "effective length", Shown("none" if length is None else f"{numbers.count(length)} tokens")
    for bias in task.bias:
        yield (
            "bias: distance from neutral, growth in points",
            numbers.estimate(bias.drift, numbers.signed_points, "", view.against("max_bias_transfer")),
        )
