"""Whole results: teacher, host, cells, and the students that a test gives."""

from __future__ import annotations

from typing import Any

from distbench.schema.merged import MergedRun
from distbench.schema.record import Footprint, HostFacts
from distbench.schema.result import CellSummary, Result, StudentResult, TeacherResult, TradeOff, TradeOffPoint
from tests.report.made.estimates import HOSTILE, TASKS, TEACHER_BYTES
from tests.report.made.measures import again

FRONT = {"soft-23-layers": 0.97, "soft-23-int8": 0.88, "tiny": 1.0}


def trade_off(students: list[StudentResult]) -> TradeOff:
    points = [
        TradeOffPoint(
            name=each.name, compression=each.compression["bytes_on_disk"], retained=each.suite.retained,
            on_front=each.name in FRONT, front_probability=FRONT.get(each.name, 0.02),
        )
        for each in students
        if each.suite.retained.value is not None and each.role == "student"
    ]  # fmt: skip
    return TradeOff(teacher="teacher", kind="bytes_on_disk", points=points, hypervolume=1.91)


def result_of(students: list[StudentResult], **more: Any) -> Result:
    teacher = TeacherResult(
        name="teacher",
        label="Teacher-135M",
        source="hub: example/teacher-135m@0123abc",
        identity="sha256:" + "c0ffee" * 10,
        footprint=Footprint(
            bytes_on_disk=TEACHER_BYTES, params_unique=134_515_008, params_non_embedding=106_203_456, dtype="float32"
        ),
        scores={**dict.fromkeys(TASKS, 0.88), "riddles": 0.252},
        again=again(),
        notes=["opened from safetensors; no remote code"],
    )
    return Result(
        **{
            "run": "synthetic-20260101T000000Z-00000000",
            "suite": "synthetic-suite",
            "description": "SYNTHETIC: invented numbers that exercise the report.",
            "created_at": "2026-01-01T00:00:00Z",
            "distbench": "0.1.0",
            "alpha": 0.05,
            "thresholds": {"retained": 0.95, "task_floor": 0.90, "compression": 1.2, "speedup": None},
            "verdict": "PASS",
            "verdict_reason": "2 of 3 required students pass; the smallest is 3.92 times smaller than the teacher.",
            "recommended": "soft-23-int8",
            "teachers": [teacher],
            "students": students,
            "trade_offs": [trade_off(students)] if students else [],
            "cells": cells(),
            "host": HostFacts(
                fingerprint="f" * 16, cpu="Example CPU", cores=2, memory_bytes=8_000_000_000, os="Linux", python="3.11"
            ),
            "packages": {"torch": "2.11.0", "transformers": "5.17.0"},
            "settings": {"seed": 0, "device": "cpu", "threads": 2, "dtype": "float32"},
            "warnings": ["the CPU governor is not “performance”: times may drift"],
            **more,
        }
    )


def cells() -> list[CellSummary]:
    return [
        CellSummary(
            id="a1" * 8,
            kind="make",
            title="make soft-23-layers",
            status="done",
            seconds=354.0,
            peak_memory_bytes=3_100_000_000,
        ),
        CellSummary(id="b2" * 8, kind="evaluate", title="teacher on sentiment", status="cached", seconds=41.2),
        CellSummary(
            id="c3" * 8, kind="make", title="make from-scratch", status="failed", error=f"out of memory {HOSTILE}"
        ),
        CellSummary(id="d4" * 8, kind="evaluate", title="from-scratch on topic", status="missing"),
    ]


def long(result: Result) -> Result:
    """Return the result with names and reasons that have no place to break."""
    word = "x" * 190
    students = [
        student.model_copy(
            update={
                "label": f"{word}{number}",
                "verdict_reason": word,
                "made_by": word,
                "tasks": [task.model_copy(update={"task": f"{task.task}{word[:100]}"}) for task in student.tasks],
            }
        )
        for number, student in enumerate(result.students)
    ]
    return result.model_copy(update={"students": students, "verdict_reason": word, "suite": word, "run": word})


def of_two_runs(result: Result) -> Result:
    """Return the result as if it were made of two runs, with a student each at least."""
    names = [student.name for student in result.students]
    runs = [
        MergedRun(
            label=label, run=label, suite=result.suite, created_at=result.created_at, distbench="0.1.0",
            verdict="PASS", verdict_reason="2 of 3 required students pass", recommended=None, alpha=0.05,
            thresholds={"retained": 0.95}, teachers=["teacher"], students=mine, tasks=list(TASKS),
            machine="Example CPU",
        )
        for label, mine in (("spring", names[:2]), (f"autumn {HOSTILE}", names[2:]))
    ]  # fmt: skip
    return result.model_copy(update={"runs": runs, "conflicts": ["the task sentiment has two versions"]})
