"""What was measured of students beside their teachers."""

from __future__ import annotations

from collections.abc import Iterator

from distbench.schema.result import Measurement, Result
from distbench.tables.table import Column, Row, Table, estimated, flag, number, spread, text, whole

_PERCENTILES = (50, 90, 95, 99)

_MEASUREMENT: tuple[Column, ...] = (
    text("student", "name of the student; of a teacher measured against itself: the teacher's name"),
    text("label", "what people call it"),
    flag("noise_floor", "a second process of the teacher in place of a student: what two equal models measure as"),
    text("meter", "what measured it"),
    text("metric", "what was measured"),
    text("workload", "under which work"),
    text("unit", "of teacher_value, student_value and the percentiles"),
    flag("higher_is_better", "a higher value is better"),
    number("teacher_value", "median of the teacher's raw values"),
    number("student_value", "median of the student's raw values"),
    *estimated("ratio", "paired, oriented so that above 1 the student is better (×)"),
    whole("n", "pairs behind the ratio"),
    *(number(f"teacher_p{p}", f"{p}th percentile of the teacher's times, ms; empty: too few") for p in _PERCENTILES),
    *(number(f"student_p{p}", f"{p}th percentile of the student's times, ms; empty: too few") for p in _PERCENTILES),
    text("status", "measured, estimated or not_measurable"),
    text("reason", "why there is no value"),
    text("remedy", "what to do where there is no value"),
    text("scope", "what the readings cover, such as GPU board"),
)


def _measurements(result: Result) -> Iterator[Row]:
    for student in result.students:
        for found in student.measurements:
            yield {"student": student.name, "label": student.label, "noise_floor": False, **_values(found)}
    for teacher in result.teachers:
        for found in teacher.again:
            yield {"student": teacher.name, "label": teacher.label, "noise_floor": True, **_values(found)}


def _values(found: Measurement) -> Row:
    return {
        "meter": found.meter,
        "metric": found.metric,
        "workload": found.workload,
        "unit": found.unit,
        "higher_is_better": found.higher_is_better,
        "teacher_value": found.teacher,
        "student_value": found.student,
        **spread("ratio", found.ratio, ""),
        "n": found.n,
        **_percentiles(found),
        "status": found.status,
        "reason": found.reason,
        "remedy": found.remedy,
        "scope": found.scope,
    }


def _percentiles(found: Measurement) -> Row:
    row: Row = {}
    for side, facts in (("teacher", found.teacher_percentiles), ("student", found.student_percentiles)):
        known = {each.percent: each.value for each in facts}
        row |= {f"{side}_p{percent}": known.get(float(percent)) for percent in _PERCENTILES}
    return row


MEASUREMENTS = Table("measurements", "one metric of a student under one workload", _MEASUREMENT, _measurements)
