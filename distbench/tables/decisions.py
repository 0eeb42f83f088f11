"""What follows from the numbers: the gate, the trade-off, studies; and what stands beside them."""

from __future__ import annotations

import json
from collections.abc import Iterator

from distbench.schema.result import Result
from distbench.tables.table import Column, Row, Table, estimated, flag, number, spread, text, whole

_GATE: tuple[Column, ...] = (
    text("student", "name of the student"),
    text("label", "what people call it"),
    text("role", "student or control"),
    text("rule", "what is asked"),
    text("task", "where the rule is about one task"),
    text("direction", "at_least or at_most the threshold"),
    number("threshold", "in the unit of the rule: a share, a ratio, bits per byte or nats"),
    flag("required", "the student's verdict depends on it"),
    *estimated("observed", "what the rule saw, in the unit of its threshold"),
    whole("n", "samples behind it"),
    text("verdict", "by the ends of the interval"),
    text("reason", "the sentence that explains the verdict"),
)


def _gate(result: Result) -> Iterator[Row]:
    for student in result.students:
        for check in student.gate:
            yield {
                "student": student.name,
                "label": student.label,
                "role": student.role,
                "rule": check.rule,
                "task": check.task,
                "direction": check.direction,
                "threshold": check.threshold,
                "required": check.required,
                **spread("observed", check.observed, ""),
                "n": check.observed.n,
                "verdict": check.verdict,
                "reason": check.reason,
            }


_TRADE_OFF: tuple[Column, ...] = (
    text("teacher", "the teacher of the plane"),
    text("student", "name of the model"),
    text("kind", "kind of compression"),
    number("compression", "teacher ÷ student (×)"),
    *estimated("retained", "share of the teacher kept; 1 = as good as the teacher"),
    flag("on_front", "no other student keeps more at the same compression or more"),
    number("front_probability", "P(on the front), 0 to 1; empty where there is no interval"),
)


def _trade_off(result: Result) -> Iterator[Row]:
    for plane in result.trade_offs:
        for point in plane.points:
            yield {
                "teacher": plane.teacher,
                "student": point.name,
                "kind": plane.kind,
                "compression": point.compression,
                **spread("retained", point.retained, ""),
                "on_front": point.on_front,
                "front_probability": point.front_probability,
            }


_STUDY: tuple[Column, ...] = (
    text("study", "name of the study"),
    text("teacher", "the teacher of its students"),
    text("student", "name of the student"),
    text("at", "where the student stands: what varies and its value, as JSON"),
    text("control", "its control without the teacher"),
    whole("training_runs", "training runs that finished"),
    *estimated("retained", "share of the teacher kept over all tasks; 1 = as good as the teacher"),
    *estimated("control_retained", "the same of its control"),
    *estimated("gap_recovered", "share of the gap between its control and the teacher that it closes"),
)


def _studies(result: Result) -> Iterator[Row]:
    for study in result.studies:
        for entry in study.entries:
            yield {
                "study": study.name,
                "teacher": study.teacher,
                "student": entry.student,
                "at": json.dumps(entry.at, ensure_ascii=False, sort_keys=True),
                "control": entry.control,
                "training_runs": entry.seeds,
                **spread("retained", entry.retained, ""),
                **spread("control_retained", entry.control_retained, "no control without the teacher"),
                **spread("gap_recovered", entry.gap_recovered, "no control without the teacher"),
            }


_DISAGREEMENT: tuple[Column, ...] = (
    text("student", "name of the student"),
    text("task", "name of the task"),
    text("sample_id", "the sample"),
    text("kind", "lost: only the teacher is right; won: only the student is"),
    text("prompt", "what was asked, cut to 2,000 characters"),
    text("label", "the right answer"),
    text("teacher_answer", "what the teacher answered"),
    text("student_answer", "what the student answered"),
    text("groups", "the sample's group in each dimension, as JSON; empty: it has none"),
)


def _disagreements(result: Result) -> Iterator[Row]:
    for student in result.students:
        for each in student.disagreements:
            yield {
                "student": student.name,
                "task": each.task,
                "sample_id": each.sample_id,
                "kind": each.kind,
                "prompt": each.prompt,
                "label": each.label,
                "teacher_answer": each.teacher,
                "student_answer": each.student,
                "groups": json.dumps(each.groups, ensure_ascii=False, sort_keys=True) if each.groups else None,
            }


_CELL: tuple[Column, ...] = (
    text("cell", "id: the hash of what decides its numbers"),
    text("kind", "make, evaluate or measure"),
    text("title", "what it does"),
    text("status", "done, cached, failed or missing"),
    number("seconds", "wall clock, seconds; of a cached cell: when it ran"),
    whole("peak_memory_bytes", "peak memory of its process, bytes"),
    text("reason", "why it failed"),
)


def _cells(result: Result) -> Iterator[Row]:
    for each in result.cells:
        yield {
            "cell": each.id,
            "kind": each.kind,
            "title": each.title,
            "status": each.status,
            "seconds": each.seconds,
            "peak_memory_bytes": each.peak_memory_bytes,
            "reason": each.error,
        }


_WARNING: tuple[Column, ...] = (
    text("student", "whom it is about; empty: the whole run"),
    text("warning", "what to be careful about"),
)


def _warnings(result: Result) -> Iterator[Row]:
    for said in result.warnings:
        yield {"student": None, "warning": said}
    for student in result.students:
        for said in student.warnings:
            yield {"student": student.name, "warning": said}


GATE = Table("gate", "a rule of the gate about a student", _GATE, _gate)
TRADE_OFF = Table("trade_off", "a student in the plane of what it keeps and what it saves", _TRADE_OFF, _trade_off)
STUDIES = Table("studies", "a student of a study", _STUDY, _studies)
DISAGREEMENTS = Table(
    "disagreements", "a sample that only one of teacher and student gets right", _DISAGREEMENT, _disagreements
)
CELLS = Table("cells", "a piece of the run's work", _CELL, _cells)
WARNINGS = Table("warnings", "a warning", _WARNING, _warnings)
