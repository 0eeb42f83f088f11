import numpy as np
import pytest

from distbench.stats import Cells, Status, group_report, group_report_from_means, retained

A, B, TINY = Cells(60, 4, 3, 13), Cells(30, 25, 2, 43), Cells(2, 8, 0, 0)


def stacked(*parts):
    student, teacher = (np.concatenate(side) for side in zip(*(part.scores() for part in parts), strict=True))
    names = np.repeat(["a", "b", "tiny"][: len(parts)], [int(part.n) for part in parts])
    return student, teacher, names


def test_known_means():
    report = group_report_from_means({"a": 0.89, "b": 0.78, "c": 0.48}, {"a": 0.9, "b": 0.8, "c": 0.6}, baseline=0.25)
    assert report.retained["b"].value == pytest.approx(0.9636363636363636)
    assert (report.worst_group, report.worst) == ("c", pytest.approx(0.6571428571428571))
    assert report.gap_growth == pytest.approx(0.11)


def test_each_group_is_judged_by_its_own_interval():
    student, teacher, names = stacked(A, B)
    report = group_report(student, teacher, names, baseline=0.25)
    assert report.retained["a"] == retained(*A.scores(), baseline=0.25)
    assert (report.worst_group, report.judged) == ("b", ("a", "b"))
    gap = (A.student_rate - B.student_rate) - (A.teacher_rate - B.teacher_rate)
    assert report.gap_growth == pytest.approx(gap)


def test_a_small_group_is_listed_not_judged():
    student, teacher, names = stacked(A, B, TINY)
    report = group_report(student, teacher, names)
    assert report.retained["tiny"].value == pytest.approx(0.2)
    assert "tiny" not in report.judged
    assert report.worst_group == "b"


def test_one_group_has_no_gap():
    student, teacher, names = stacked(A)
    assert group_report(student, teacher, names).gap_growth is None


def test_a_group_without_signal_is_never_the_worst():
    report = group_report_from_means({"a": 0.3, "b": 0.5}, {"a": 0.2, "b": 0.6}, baseline=0.25)
    assert report.retained["a"].status is Status.NO_SIGNAL
    assert report.worst_group == "b"
    empty = group_report_from_means({"a": 0.3}, {"a": 0.2}, baseline=0.25)
    assert (empty.worst_group, empty.worst) == (None, None)


def test_clusters_and_direction_reach_the_groups():
    student, teacher, names = stacked(A, B)
    report = group_report(
        1 - student, 1 - teacher, names, baseline=0.75, higher_is_better=False, clusters=np.arange(student.size) // 4
    )
    assert report.retained["a"].method == "fieller_cluster"
    assert report.retained["a"].value == pytest.approx(retained(*A.scores(), baseline=0.25).value)


def test_bad_groups_are_refused():
    with pytest.raises(ValueError, match="groups differ"):
        group_report_from_means({"a": 1.0}, {"b": 1.0})
    with pytest.raises(ValueError, match=r"groups\[1\] is missing"):
        group_report([1, 0], [1, 1], ["a", None])
