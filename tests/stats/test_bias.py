import numpy as np
import pytest

from distbench.stats import Status, bias_transfer, delta, proportion

STUDENT = np.repeat([1, 0, 1, 0], [50, 10, 15, 25])
TEACHER = np.repeat([1, 1, 0, 0], [50, 10, 15, 25])


def test_a_student_more_biased_than_its_teacher():
    result = bias_transfer(STUDENT, TEACHER)
    assert (result.teacher.value, result.student.value) == (0.6, 0.65)
    assert result.excess == delta(STUDENT, TEACHER)
    assert result.inherited == proportion(50, 60)
    assert result.closer_to_neutral is False


def test_closer_to_neutral_is_better_on_either_side():
    assert bias_transfer([0, 0, 1, 1], [1, 1, 1, 1]).closer_to_neutral is True
    assert bias_transfer([0, 0, 0, 1], [1, 1, 1, 0]).closer_to_neutral is None
    assert bias_transfer([1, 0, 0, 0], [1, 1, 1, 1], neutral=0.0).closer_to_neutral is True


def test_templates_are_clusters():
    result = bias_transfer(STUDENT, TEACHER, templates=np.arange(100) % 12)
    assert result.excess.method == result.inherited.method == "cluster_t"
    assert result.student.n_clusters == 12


def test_a_neutral_teacher_passes_nothing_on():
    inherited = bias_transfer([1, 0], [0, 0], templates=["a", "b"]).inherited
    assert (inherited.value, inherited.status) == (None, Status.UNDEFINED)


def test_flags_are_zero_or_one():
    with pytest.raises(ValueError, match="0 or 1"):
        bias_transfer([0.5], [1])
