"""What several sections ask of a result: the order of students, their marks, their teachers, the headline numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TypeVar

from distbench.compare.measurements import headline_energy, headline_memory, headline_speedup
from distbench.report import checks, numbers, words
from distbench.report.numbers import Shown
from distbench.schema.result import (
    Estimate,
    GateCheck,
    Measurement,
    Result,
    StudentResult,
    SuiteScore,
    TaskResult,
    TeacherResult,
)

HEADLINE_KIND = "bytes_on_disk"
_BEST_FIRST = {"PASS": 0, "INCONCLUSIVE": 1, "NO_SIGNAL": 2, "FAIL": 3, "INVALID": 4}
T = TypeVar("T")
_METERS = {"latency": 0, "throughput": 1, "server": 2, "load": 3, "memory": 4, "energy": 5}
_ONLY = {"", "process", "loading"}  # workloads that say nothing beyond the metric
_RULES = {"latency": "speedup", "energy": "energy"}  # of the gate, about the quoted measure of a meter


@dataclass(frozen=True)
class MeasureKey:
    """What was measured, on what workload."""

    meter: str
    metric: str
    workload: str
    unit: str

    @classmethod
    def of(cls, measurement: Measurement) -> MeasureKey:
        """Return the key of one measurement."""
        return cls(measurement.meter, measurement.metric, measurement.workload, measurement.unit)

    @property
    def title(self) -> str:
        """The metric and its workload, in words."""
        name = words.metric_words(self.metric)
        return f"{name} ({self.workload})" if self.workload not in _ONLY else name


@dataclass(frozen=True)
class View:
    """A result as the report reads it."""

    result: Result

    @property
    def level(self) -> str:
        """The confidence level of every interval: 95 %."""
        return numbers.whole_percent(1 - self.result.alpha)

    def threshold(self, rule: str) -> float | None:
        """Return a threshold of the gate."""
        return self.result.thresholds.get(rule)

    def against(self, rule: str) -> tuple[float, ...]:
        """Return the thresholds that numbers of this rule must not round across."""
        limit = self.threshold(rule)
        return () if limit is None else (limit,)

    @cached_property
    def teachers(self) -> dict[str, TeacherResult]:
        """The teachers by name."""
        return {teacher.name: teacher for teacher in self.result.teachers}

    def teacher_of(self, student: StudentResult) -> TeacherResult | None:
        """Return the teacher that a student is compared with: the first of its teachers."""
        return self.teachers.get(student.of[0]) if student.of else None

    @cached_property
    def by_name(self) -> dict[str, StudentResult]:
        """The students and controls by name."""
        return {student.name: student for student in self.result.students}

    @cached_property
    def students(self) -> list[StudentResult]:
        """Students, the recommended first, then by verdict and retained share; each control follows its student."""
        controls: dict[str, list[StudentResult]] = {}
        for each in self.controls:
            controls.setdefault(each.control_of or "", []).append(each)
        ordered: list[StudentResult] = []
        for student in sorted((each for each in self.result.students if each.role == "student"), key=self._rank):
            ordered += [student, *controls.pop(student.name, [])]
        return ordered + [each for orphans in controls.values() for each in orphans]

    @property
    def candidates(self) -> list[StudentResult]:
        """The students without the controls, in the same order."""
        return [student for student in self.students if student.role == "student"]

    @property
    def controls(self) -> list[StudentResult]:
        """The controls: trained without the teacher, or not trained at all."""
        return [each for each in self.result.students if each.role == "control"]

    def _rank(self, student: StudentResult) -> tuple[bool, int, float]:
        value = student.suite.retained.value
        return (
            student.name != self.result.recommended,
            _BEST_FIRST[student.verdict],
            -value if value is not None else float("inf"),
        )

    @cached_property
    def slots(self) -> dict[str, int]:
        """The mark (colour and shape) of each student; a control wears its student's."""
        slots = {student.name: slot for slot, student in enumerate(self.candidates)}
        for control in self.controls:
            slots[control.name] = slots.get(control.control_of or "", len(slots))
        return slots

    @cached_property
    def anchors(self) -> dict[str, str]:
        """The id of each student's row: made of its name, so that a link survives another run of the suite."""
        found: dict[str, str] = {}
        for student in self.students:
            plain = re.sub(r"[^A-Za-z0-9._-]+", "-", student.name)[:80] or "unnamed"
            taken = set(found.values())
            names = (f"student-{plain}", *(f"student-{plain}-{number}" for number in range(2, len(taken) + 3)))
            found[student.name] = next(name for name in names if name not in taken)
        return found

    @cached_property
    def recommended(self) -> StudentResult | None:
        """The student that the comparison recommends."""
        return self.by_name.get(self.result.recommended) if self.result.recommended else None

    @cached_property
    def headline(self) -> StudentResult | None:
        """The student of the first screen: the recommended one, else the one that keeps most."""
        if self.recommended:
            return self.recommended
        scored = [each for each in self.candidates if each.suite.retained.value is not None]
        return max(scored, key=lambda each: each.suite.retained.value or 0.0, default=None)

    @cached_property
    def tasks(self) -> list[str]:
        """Every task, in the order in which the results name them."""
        return _unique(task.task for student in self.result.students for task in student.tasks)

    def shows(self, part: str) -> bool:
        """Say whether some task, or some student, has a part such as groups."""
        return any(getattr(each, part, None) for student in self.result.students for each in (student, *student.tasks))

    @cached_property
    def measures(self) -> list[MeasureKey]:
        """Everything that was measured: speed first, then memory and loading."""
        keys = _unique(MeasureKey.of(each) for student in self.result.students for each in student.measurements)
        return sorted(keys, key=lambda key: _METERS.get(key.meter, len(_METERS)))

    @property
    def measures_to_draw(self) -> list[MeasureKey]:
        """What was measured, what is quoted of each meter first: charts have room for only some."""
        quoted = set(self._headline_measures.values())
        return sorted(self.measures, key=lambda key: key not in quoted)

    @cached_property
    def size_kinds(self) -> list[str]:
        """Every kind of compression that some student has, the headline kind first."""
        kinds = _unique(
            kind for student in self.result.students for kind, value in student.compression.items() if value is not None
        )
        return sorted(kinds, key=lambda kind: kind != HEADLINE_KIND)

    def measurement(self, student: StudentResult, key: MeasureKey | None) -> Measurement | None:
        """Return one measurement of a student."""
        return next((each for each in student.measurements if MeasureKey.of(each) == key), None)

    @cached_property
    def _headline_measures(self) -> dict[str, MeasureKey]:
        first = {key.meter: key for key in reversed(self.measures)}
        for student in reversed(self.result.students):
            for headline in (headline_speedup, headline_memory, headline_energy):
                gated = headline(student.measurements)
                if gated:
                    first[gated.meter] = MeasureKey.of(gated)
        return first

    def headline_measure(self, meter: str) -> MeasureKey | None:
        """Return the measure of a meter that tables quote: what the gate looks at, else the first one."""
        return self._headline_measures.get(meter)

    def ratio(self, student: StudentResult, meter: str) -> Shown:
        """Return the quoted ratio of a student under a meter, or why there is none."""
        found = self.measurement(student, self.headline_measure(meter))
        if found is None:
            why = "as its student: the same architecture" if student.role == "control" else "not measured"
            return Shown(f"{numbers.DASH} {why}", title=f"{why}; no measurement of its own", missing=True)
        return self.measured_ratio(found)

    def measured_ratio(self, found: Measurement) -> Shown:
        """Return the ratio of one measurement; an unmeasurable one is a reason, never a number."""
        if found.status == "not_measurable" or found.ratio.value is None:
            why = found.reason or found.ratio.reason or "no reason given"
            return Shown(f"{numbers.DASH} not measurable: {why}", title=why, missing=True)
        rule = _RULES.get(found.meter)
        shown = numbers.as_ratio(found.ratio, self.against(rule) if rule else ())
        if found.status == "estimated":
            return replace(shown, interval=f"{shown.interval} estimated".strip())
        return shown if shown.interval else replace(shown, interval="no interval")

    def retained(self, student: StudentResult) -> Shown:
        """Return the share that a student keeps over all tasks."""
        return self.retained_share(student.suite)

    def retained_share(self, suite: SuiteScore) -> Shown:
        """Return the retained share of a suite score."""
        return numbers.as_percent(_with_reason(suite.retained, suite.reason), self.against("retained"))

    def worst(self, student: StudentResult) -> TaskResult | None:
        """Return the task on which a student keeps least."""
        return next((task for task in student.tasks if task.task == student.suite.worst_task), None)

    def worst_retained(self, student: StudentResult) -> Shown:
        """Return the retained share of the worst task."""
        worst = self.worst(student)
        if worst is None:
            return Shown(numbers.DASH, title=student.suite.reason or "no task has a retained share", missing=True)
        return self.task_retained(worst)

    def task_retained(self, task: TaskResult) -> Shown:
        """Return the retained share of one task."""
        return numbers.as_percent(_with_reason(task.retained, task.reason), self.against("task_floor"))

    def compression(self, student: StudentResult, kind: str = HEADLINE_KIND) -> Shown:
        """Return a student's compression by one kind of size."""
        reason = student.footprint.note or f"no {words.size_kind(kind)} for this model or its teacher"
        against = self.against("compression") if kind == HEADLINE_KIND else ()
        return numbers.optional(student.compression.get(kind), lambda value: numbers.ratio(value, against), reason)

    def asked(self, check: GateCheck) -> str:
        """Return what a rule asks for, with its sign."""
        return checks.asked(check)

    def seen(self, check: GateCheck) -> Shown:
        """Return what a rule saw."""
        return checks.seen(check)

    def gap(self, student: StudentResult) -> Shown:
        """Return what share of the gap between control and teacher a student closes."""
        if student.gap_recovered is None:
            why = "a control is the yardstick itself" if student.role == "control" else "no control without the teacher"
            return Shown(numbers.DASH, title=why, missing=True)
        return numbers.as_percent(student.gap_recovered, (0.0,))


def _with_reason(found: Estimate, reason: str | None) -> Estimate:
    return found if found.reason or not reason else found.model_copy(update={"reason": reason})


def _unique(items: Iterable[T]) -> list[T]:
    return list(dict.fromkeys(items))
