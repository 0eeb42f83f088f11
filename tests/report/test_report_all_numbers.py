"""Every number of every table, read off the page in a browser, is the one in the result."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from distbench.report.sections import SECTIONS
from distbench.report.view import View
from distbench.schema.result import Beside, Estimate, Measurement, Result, StudentResult, TaskResult
from tests.report.tables import READ, number, shows
from tests.report.visiting import Visit

pytestmark = pytest.mark.browser

OF_UNIT = {"ms": 1e-3, "s": 1.0}


@dataclass(frozen=True)
class Is:
    """What a cell must show. `text` false: its text is no rounding of the number behind it."""

    value: float | None
    scale: float = 1.0
    text: bool = True


@dataclass(frozen=True)
class Sides:
    """A cell of the form "teacher → student"; the number behind it is the student's."""

    found: Beside | None


Cell = Is | Sides | None  # None: words, or a number that another column checks
Rows = list[list[Cell]]


def est(found: Estimate | None, scale: float = 1.0) -> Is:
    return Is(None if found is None else found.value, scale)


def on_tasks(result: Result) -> Iterator[tuple[StudentResult, TaskResult]]:
    """Yield every student on every task in the order of the page."""
    view = View(result)
    for name in view.tasks:
        for student in view.students:
            yield from ((student, task) for task in student.tasks if task.task == name)


def named(student: StudentResult, metric: str) -> Measurement | None:
    found = next((each for each in student.measurements if each.metric == metric), None)
    return found if found is not None and found.status == "measured" else None


def students(result: Result) -> Rows:
    rows: Rows = []
    for student in View(result).students:
        worst = next((task for task in student.tasks if task.task == student.suite.worst_task), None)
        faster, memory = named(student, "e2e_ms"), named(student, "peak_bytes")
        rows.append(
            [
                None, None, est(student.suite.retained), est(worst.retained if worst else None),
                Is(student.compression.get("bytes_on_disk")), est(faster.ratio if faster else None),
                est(memory.ratio if memory else None), est(student.gap_recovered),
            ]
        )  # fmt: skip
    return rows


def pareto(result: Result) -> Rows:
    points = {point.name: point for trade in result.trade_offs for point in trade.points}
    kinds = ("bytes_on_disk", "params_unique", "params_non_embedding")
    return [
        [None, None, Is(points[each.name].front_probability if each.name in points else None)]
        + [Is(each.compression.get(kind)) for kind in kinds]
        for each in View(result).candidates
    ]


def gate(result: Result) -> Rows:
    return [
        [None, None, None, Is(check.threshold), est(check.observed), None]
        for student in View(result).students
        for check in student.gate
    ]


def tasks(result: Result) -> Rows:
    return [
        [None, None, None, Is(task.n), Is(task.teacher), Is(task.student), est(task.retained), est(task.retained_raw),
         est(task.delta)]
        for _, task in on_tasks(result)
    ]  # fmt: skip


def task_groups(result: Result) -> Rows:
    return [
        [None, None, None, Is(group.retained.n), est(group.retained), None]
        for student in View(result).students
        for group in student.task_groups.values()
    ]


def other_metrics(result: Result) -> Rows:
    return [
        [None, None, None, Is(teacher), Is(own), Is(task.n)]
        for _, task in on_tasks(result)
        for teacher, own in task.other_metrics.values()
    ]


def key(found: Measurement) -> tuple[str, str, str]:
    return found.meter, found.metric, found.workload


def measured(result: Result, meters: set[str]) -> Iterator[tuple[StudentResult, Measurement]]:
    view = View(result)
    for wanted in view.measures:
        for student in view.students:
            for found in student.measurements:
                if key(found) == (wanted.meter, wanted.metric, wanted.workload) and found.meter in meters:
                    yield student, found


def side(found: Measurement, name: str) -> Cell:
    return None if name in found.estimates else Is(getattr(found, name), OF_UNIT.get(found.unit, 1.0))


def speed(result: Result) -> Rows:
    again = {key(each): each for teacher in result.teachers for each in teacher.again}
    return [
        [None, None, est(found.ratio), est(again[key(found)].ratio if key(found) in again else None),
         side(found, "teacher"), side(found, "student"), Is(found.n), None]
        for _, found in measured(result, {"latency", "load"})
    ]  # fmt: skip


def energy(result: Result) -> Rows:
    return [
        [None, None, est(found.ratio), side(found, "teacher"), side(found, "student"), Is(found.n), None]
        for _, found in measured(result, {"energy"})
    ]


def memory(result: Result) -> Rows:
    view = View(result)
    wanted = [each.metric for each in view.measures if each.meter == "memory"]
    rows: dict[str, dict[str, float | None]] = {}
    teacher: dict[str, float | None] = {}
    for student, found in measured(result, {"memory"}):
        rows.setdefault(student.name, {})[found.metric] = found.student
        teacher[found.metric] = teacher.get(found.metric) or found.teacher
    ordered = [rows[student.name] for student in view.students if student.name in rows]
    return [[None, *(Is(each.get(metric)) for metric in wanted)] for each in (teacher, *ordered)]


def spread(result: Result) -> Rows:
    view, rows, done = View(result), [], set()
    for wanted in view.measures:
        for student in view.students:
            found = view.measurement(student, wanted)
            if found is None or not found.teacher_percentiles:
                continue
            if wanted not in done:
                done.add(wanted)
                rows.append(found.teacher_percentiles)
            rows.append(found.student_percentiles)
    return [[None, None, *(Is(fact.value, 1e-3) for fact in facts), Is(facts[0].n)] for facts in rows]


def export(result: Result) -> Rows:
    rows: Rows = []
    for student in View(result).students:
        if found := student.agreement:
            equal, first = found.greedy_equal / found.greedy_total, found.first_divergence
            numbers = [Is(equal, text=False), Is(first, text=False), Is(found.top1), Is(found.kl)]
            rows.append([None, *numbers, Is(found.largest_difference), None])
    return rows


def training(result: Result) -> Rows:
    rows: Rows = []
    for student in View(result).students:
        if found := student.training:
            seconds = [Is(found.seconds, text=False), Is(found.teacher_seconds, text=False)]
            kl = [Is(found.heldout_kl_before), Is(found.heldout_kl_after)]
            rows.append([None, None, None, *seconds, *kl, est(student.gap_recovered)])
    return rows


def agreement(result: Result) -> Rows:
    rows: Rows = []
    for _, task in on_tasks(result):
        found = task.fidelity
        if found.agreement is None:
            continue
        flips = [est(found.negative_flips), est(found.positive_flips), est(found.retained_knowledge)]
        numbers = [est(found.agreement), est(found.cohen_kappa), *flips, est(found.text_overlap["chrF"])]
        rows.append([None, None, Is(task.n), *numbers])
    return rows


def divergence(result: Result) -> Rows:
    return [
        [None, None, None, Is(found.n), est(found.value)]
        for student in View(result).students
        for found in student.divergence
    ]


def calibration(result: Result) -> Rows:
    rows: Rows = []
    for _, task in on_tasks(result):
        if found := task.calibration:
            nll = found.nll.delta if found.nll else None
            pairs = [Sides(each) for each in (found.ece, found.ace, found.aurc, *found.accuracy_at.values())]
            rows.append([None, None, Is(found.n), est(found.brier.delta), est(nll), *pairs])
    return rows


def bins(result: Result) -> Rows:
    """The reliability diagrams are those of the student of the first screen."""
    (first,) = [task for student, task in on_tasks(result) if task.calibration and student is View(result).headline]
    assert first.calibration is not None
    return [
        [None, None, Is(each.lo), Is(each.hi), Is(each.n), Is(each.confidence), Is(each.accuracy)]
        for each in (*first.calibration.teacher_bins, *first.calibration.student_bins)
        if each.n
    ]


def worst_groups(result: Result) -> Rows:
    return [
        [None, None, Is(len(found.groups)), None, est(found.worst_group_retained), Is(found.gap_growth)]
        for _, task in on_tasks(result)
        for found in task.groups
    ]


def groups(result: Result) -> Rows:
    return [
        [None, None, None, None, Is(group.n), Is(group.teacher), Is(group.student), est(group.retained)]
        for _, task in on_tasks(result)
        for found in task.groups
        for group in found.groups
    ]


def context(result: Result) -> Rows:
    return [
        [None, None, None, Is(each.length), Is(each.n), Is(each.teacher), Is(each.student), est(each.retained)]
        for _, task in on_tasks(result)
        if task.context
        for each in task.context.buckets
    ]


def bias(result: Result) -> Rows:
    return [
        [None, None, Is(found.n), est(found.teacher), est(found.student), est(found.transfer, 100.0),
         est(found.drift, 100.0), est(found.inherited), None]
        for _, task in on_tasks(result)
        for found in task.bias
    ]  # fmt: skip


def study(result: Result) -> Rows:
    rows: Rows = []
    for entry in result.studies[0].entries:
        scores = [est(entry.scores["topic"]), est(entry.control_scores.get("topic"))]
        kept = [est(entry.retained), est(entry.control_retained)]
        rows.append([None, None, None, Is(entry.seeds), *kept, *scores, est(entry.gap_recovered)])
    return rows


def seeded(result: Result) -> Iterator[StudentResult]:
    return (student for student in View(result).candidates if student.seeds)


def seed_means(result: Result) -> Rows:
    return [
        [None, None, Is(len(student.seeds.rows)), est(each.student), est(each.control), est(each.delta),
         est(each.delta_both)]
        for student in seeded(result)
        if student.seeds
        for each in (*student.seeds.tasks, *student.seeds.others)
    ]  # fmt: skip


def seed_kept(result: Result) -> Rows:
    rows: Rows = []
    for student in seeded(result):
        found = student.seeds
        assert found is not None
        kept = [est(found.retained), est(found.control_retained)]
        rows.append([None, Is(len(found.rows)), *kept, Is(found.deviation), est(student.gap_recovered)])
    return rows


def seed_runs(result: Result) -> Rows:
    return [
        [None, None, Is(row.seed), None, Is(score), Is(row.control.get(task)), est(row.retained),
         est(row.gap_recovered)]
        for student in seeded(result)
        if student.seeds
        for row in student.seeds.rows
        for task, score in row.scores.items()
    ]  # fmt: skip


def cells(result: Result) -> Rows:
    return [[None, None, None, Is(each.seconds, text=False), Is(each.peak_memory_bytes), None] for each in result.cells]


def runs(result: Result) -> Rows:
    return [[None, None, None, Is(len(run.students)), None, Is(len(run.tasks)), None, None] for run in result.runs]


def models(result: Result) -> Rows:
    return [
        [None, None, None, Is(each.footprint.bytes_on_disk), Is(each.footprint.params_unique), None, None]
        for each in (*result.teachers, *View(result).students)
    ]


TABLES: dict[str, Callable[[Result], Rows]] = {
    "students": students, "pareto": pareto, "gate": gate, "task-table": tasks, "task-groups": task_groups,
    "other-metrics": other_metrics, "speed-table": speed, "energy-table": energy, "memory-table": memory,
    "spread-table": spread, "export-table": export, "training-table": training, "agreement-table": agreement,
    "divergence-table": divergence, "calibration-table": calibration, "bins-table": bins,
    "worst-groups": worst_groups, "groups-table": groups, "context-table": context, "bias-table": bias,
    "study-table-1": study, "seed-means": seed_means, "seed-kept": seed_kept, "seed-runs": seed_runs,
    "cells": cells, "models": models, "runs-table": runs,
}  # fmt: skip


def check(cell: list[Any], expected: Cell) -> None:
    if isinstance(expected, Sides):
        left, right = cell[0].split(" → ")
        assert expected.found is not None
        shows([right, cell[1]], expected.found.student)
        read = number(left)
        assert read is not None
        assert expected.found.teacher == pytest.approx(read.value, abs=read.slack)
    elif isinstance(expected, Is) and expected.text:
        shows(cell, expected.value, expected.scale)
    elif isinstance(expected, Is):
        assert cell[1] == (None if expected.value is None else pytest.approx(expected.value, rel=1e-12)), cell


def test_every_number_of_every_table_is_that_of_the_result(visit: Callable[..., Visit], everything: Result) -> None:
    page = visit("everything").page
    page.evaluate("document.querySelectorAll('details').forEach((each) => { each.open = true; })")
    found = page.evaluate(READ)
    found.pop("samples-table")  # texts
    shown = page.eval_on_selector_all("main > section", "all => all.map((each) => each.id)")
    assert shown == [section.anchor for section in SECTIONS]  # so that the audits look at every section
    assert set(found) == set(TABLES)
    for name, expected in TABLES.items():
        rows = expected(everything)
        assert rows, name
        assert len(found[name]["rows"]) == len(rows), name
        for cells_read, row in zip(found[name]["rows"], rows, strict=True):
            assert len(cells_read) == len(row), (name, cells_read)
            for heading, cell, wanted in zip(found[name]["heads"], cells_read, row, strict=True):
                try:
                    check(cell, wanted)
                except AssertionError as error:
                    raise AssertionError(f"{name}, {heading}: {error}") from error


@pytest.mark.parametrize(
    ("text", "value", "slack"),
    [("96.8 % [95.4, 98.2]", 0.968, 0.0005), ("−0.018 [−0.02, 0]", -0.018, 0.0005), ("1,234 ms", 1.234, 0.0005),
     ("≥ 1.2×", 1.2, 0.05), ("46.1 kB/token", 46_100.0, 50.0)],
)  # fmt: skip
def test_the_reader_of_these_tests_reads(text: str, value: float, slack: float) -> None:
    read = number(text)
    assert read is not None
    assert (read.value, read.slack) == (pytest.approx(value), pytest.approx(slack))


def test_the_reader_of_these_tests_sees_a_wrong_digit() -> None:
    shows(["96.8 %", 0.96849], 0.96849)
    with pytest.raises(AssertionError):
        shows(["96.9 %", 0.96849], 0.96849)
    with pytest.raises(AssertionError):
        shows(["96.8 %", 0.9685], 0.96849)
    with pytest.raises(AssertionError):
        shows(["0.0 %", 0.0], None)
