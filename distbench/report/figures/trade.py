"""What the key chart shows: the possible horizontal axes, the points on them, and the window they are seen through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from distbench.report import words
from distbench.report.view import HEADLINE_KIND, View
from distbench.schema.result import StudentResult

NEAR = 0.15
FEW = 4  # students that need no zoom
_MOST_MEASURES = 6


@dataclass(frozen=True)
class Axis:
    """One choice for the horizontal axis: a kind of compression, or a measured ratio."""

    key: str
    label: str
    title: str
    values: dict[str, tuple[float, float | None, float | None]]
    threshold: float | None = None
    missing: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Point:
    """A student in the chart: retained share (y) against a ratio (x), each with its interval."""

    student: StudentResult
    x: float
    y: float
    x_interval: tuple[float | None, float | None]
    y_interval: tuple[float | None, float | None]

    @property
    def control(self) -> bool:
        """Whether it is a control."""
        return self.student.role == "control"


def axes(view: View) -> list[Axis]:
    """Return the axes for which at least one student has a value, size on disk first."""
    found = [_size_axis(view, kind) for kind in view.size_kinds]
    measured = []
    for number, key in enumerate(view.measures_to_draw):
        values, missing = {}, {}
        for student in view.students:
            one = view.measurement(student, key)
            if one and one.status != "not_measurable" and one.ratio.value is not None and one.ratio.value > 0:
                values[student.name] = (one.ratio.value, one.ratio.lo, one.ratio.hi)
            else:
                missing[student.name] = str(view.measured_ratio(one).title if one else "not measured")
        threshold = view.threshold("speedup") if key == view.headline_measure("latency") else None
        title = f"{key.title}: times better than the teacher (log scale)"
        if values:
            measured.append(Axis(f"m{number}", key.title, title, values, threshold, missing))
    return found + measured[:_MOST_MEASURES]


def _size_axis(view: View, kind: str) -> Axis:
    values: dict[str, tuple[float, float | None, float | None]] = {}
    missing = {}
    for student in view.students:
        value = student.compression.get(kind)
        if value is not None and value > 0:
            values[student.name] = (value, value, value)
        else:
            missing[student.name] = student.footprint.note or "no size of this kind"
    name = words.size_kind(kind)
    threshold = view.threshold("compression") if kind == HEADLINE_KIND else None
    label = f"smaller: {name}"
    return Axis(kind, label, f"Times smaller than the teacher by {name} (log scale)", values, threshold, missing)


def points(view: View, x_axis: Axis) -> list[Point]:
    """Return every student and control that has both a retained share and a value on the axis."""
    found = []
    for student in view.students:
        retained = student.suite.retained
        if retained.value is None or student.name not in x_axis.values:
            continue
        x, x_lo, x_hi = x_axis.values[student.name]
        found.append(Point(student, x, retained.value, (x_lo, x_hi), (retained.lo, retained.hi)))
    return found


def gate_line(view: View) -> float:
    """Return the retained share that the charts are centred on: the gate, or 95 % where there is none."""
    return view.threshold("retained") or 0.95


def off_range(view: View, shown: Sequence[Point]) -> list[Point]:
    """Return the points too far below the gate for a zoomed chart; none where that would leave no student.

    A handful of marks is drawn whole: the eye finds its way, and a student far below is part of the story.
    """
    if len(shown) <= FEW:
        return []
    limit = gate_line(view) - NEAR
    near = [point for point in shown if point.y >= limit and not point.control]
    return [point for point in shown if point.y < limit] if near else []


def window(view: View, shown: Sequence[Point], height: float) -> tuple[float, float]:
    """Return the lower and upper edge of the chart in shares, with room for markers at both ends."""
    line = gate_line(view)

    def limits(point: Point, side: int) -> float:
        limit = point.y_interval[side]
        if limit is None:  # unbounded: the bar runs to the edge wherever that is
            return point.y
        near = point.y + (0.25 if side else -0.25)
        return min(limit, near) if side else max(limit, near)

    low = min([line - 0.04, *(limits(point, 0) for point in shown)])
    high = max([1.01, *(limits(point, 1) for point in shown)])
    pad = (high - low) * 16 / height
    return low - pad, high + pad
