"""How large the mark of a student is: its area is the measured speed-up."""

from __future__ import annotations

import math

from distbench.report import numbers
from distbench.report.view import View
from distbench.schema.result import StudentResult

PLAIN = 12.0  # pixels: a speed-up of 1, and every mark where nothing was timed
SMALLEST, LARGEST = 10.0, 18.0
UNKNOWN = 8.0  # not timed, beside others that were


def speedup(view: View, student: StudentResult) -> float | None:
    """Return the quoted speed-up of a student (teacher's time / its time), or None where it was not measured."""
    found = view.measurement(student, view.headline_measure("latency"))
    if found is None or found.status == "not_measurable" or found.ratio.value is None or found.ratio.value <= 0:
        return None
    return found.ratio.value


def timed(view: View) -> bool:
    """Whether any student has a speed-up, so that the size of a mark says something."""
    return any(speedup(view, student) is not None for student in view.students)


def diameter(view: View, student: StudentResult) -> float:
    """Return a mark's width in pixels: its area in proportion to the speed-up, within what can be seen and named."""
    if not timed(view):
        return PLAIN
    factor = speedup(view, student)
    return UNKNOWN if factor is None else min(max(PLAIN * math.sqrt(factor), SMALLEST), LARGEST)


def legend(view: View) -> str:
    """Say what the size of a mark means; nothing where it means nothing."""
    if not timed(view):
        return ""
    least, most = (numbers.ratio((edge / PLAIN) ** 2) for edge in (SMALLEST, LARGEST))
    untimed = any(speedup(view, student) is None for student in view.students)
    rest = " The smallest marks were not timed." if untimed else ""
    return f"A larger mark is faster: its area follows the measured speed-up between {least} and {most}.{rest}"
