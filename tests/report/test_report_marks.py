"""The size of a mark in the key chart says how much faster a student is."""

import math

import pytest

from distbench.report.figures.key import key_chart
from distbench.report.figures.marks import LARGEST, PLAIN, SMALLEST, UNKNOWN, diameter, legend, speedup
from distbench.report.figures.static import key_svg
from distbench.report.figures.trade import axes
from distbench.report.view import View


def test_area_follows_the_measured_speedup(everything):
    view = View(everything)
    sizes = {speedup(view, student): diameter(view, student) for student in view.students}
    known = {factor: size for factor, size in sizes.items() if factor is not None}
    assert len(known) > 1
    for factor, size in known.items():
        assert size == pytest.approx(min(max(PLAIN * math.sqrt(factor), SMALLEST), LARGEST))
    assert "faster" in legend(view)


def test_a_student_that_was_not_timed_is_smaller_than_any_that_was(everything):
    view = View(everything)
    student = view.students[0]
    without = student.model_copy(update={"measurements": []})
    assert speedup(view, without) is None
    assert diameter(view, without) == UNKNOWN < SMALLEST


def test_both_charts_draw_the_same_sizes(everything):
    view = View(everything)
    drawn = key_chart(view, axes(view)[0]).near
    marks = {trace["meta"]: trace["marker"]["size"] for trace in drawn["data"] if "meta" in trace}
    assert marks == {name: diameter(view, view.by_name[name]) for name in marks}
    picture = key_svg(view)
    for size in set(marks.values()) - {PLAIN}:
        assert f"scale({size / PLAIN:.3g})" in picture


def test_where_nothing_was_timed_all_marks_are_alike_and_nothing_is_said(sizes_only):
    view = View(sizes_only)
    assert {diameter(view, student) for student in view.students} == {PLAIN}
    assert legend(view) == ""
    assert "scale(" not in key_svg(view)
