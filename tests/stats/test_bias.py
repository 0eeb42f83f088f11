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
    assert (result.excess.method, result.inherited.method) == ("cluster_t", "wilson_cluster")
    assert result.student.n_clusters == 12


def test_a_neutral_teacher_passes_nothing_on():
    inherited = bias_transfer([1, 0], [0, 0], templates=["a", "b"]).inherited
    assert (inherited.value, inherited.status) == (None, Status.UNDEFINED)


def test_degrees_of_bias_have_a_transfer_but_no_inheritance():
    result = bias_transfer([0.5, 0.7, 0.9], [0.6, 0.6, 0.6])
    assert result.drift.value == pytest.approx(0.1)
    assert (result.inherited.value, result.inherited.status) == (None, Status.UNDEFINED)


def test_drift_is_the_growth_of_the_distance_from_neutral():
    result = bias_transfer(STUDENT, TEACHER)
    assert result.drift.value == pytest.approx(0.05)
    assert (result.drift.lo, result.drift.hi) == pytest.approx((result.excess.lo, result.excess.hi))
    other_side = bias_transfer(1 - STUDENT, TEACHER)  # 0.35: as far from neutral on the other side
    assert other_side.drift.value == pytest.approx(0.05)
    assert other_side.drift.lo < 0.05 < other_side.drift.hi


def test_drift_covers_its_kinks():
    # Both models unbiased: |s - 1/2| - |t - 1/2| is 0, and the interval must hold it however the signs fall.
    random = np.random.default_rng(3)
    held = 0
    for _ in range(400):
        flags = random.random((2, 200)) < 0.5
        drift = bias_transfer(flags[0].astype(float), flags[1].astype(float)).drift
        held += drift.lo <= 0 <= drift.hi
    assert held >= 376  # 95 % less three standard errors
