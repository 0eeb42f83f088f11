import numpy as np
import pytest

from distbench.stats import Status, fieller, gap_recovered, gap_recovered_from_means

RNG = np.random.default_rng(7)
CONTROL = RNG.normal(0.5, 0.1, 80)
TEACHER = CONTROL + RNG.normal(0.2, 0.05, 80)
STUDENT = CONTROL + RNG.normal(0.1, 0.05, 80)


def test_half_the_gap():
    estimate = gap_recovered(TEACHER, STUDENT, CONTROL)
    limits = fieller(STUDENT - CONTROL, TEACHER - CONTROL)
    assert estimate.value == pytest.approx(0.5, abs=0.05)
    assert (estimate.lo, estimate.hi) == (limits.lo, limits.hi)


def test_clusters_and_direction():
    clustered = gap_recovered(TEACHER, STUDENT, CONTROL, clusters=np.arange(80) // 4)
    assert clustered.method == "fieller_cluster"
    mirrored = gap_recovered(-TEACHER, -STUDENT, -CONTROL, higher_is_better=False)
    assert mirrored.value == pytest.approx(gap_recovered(TEACHER, STUDENT, CONTROL).value)


@pytest.mark.parametrize("teacher", [CONTROL, CONTROL - 0.1, CONTROL + RNG.normal(0.001, 0.1, 80)])
def test_no_gap_has_no_value(teacher):
    estimate = gap_recovered(teacher, STUDENT, CONTROL)
    assert (estimate.value, estimate.lo, estimate.status) == (None, None, Status.NO_GAP)
    assert "control" in estimate.reason


def test_distillation_that_harms_is_negative():
    assert gap_recovered(TEACHER, CONTROL - RNG.normal(0.05, 0.01, 80), CONTROL).hi < 0


def test_means_alone():
    assert gap_recovered_from_means(0.9, 0.8, 0.7).value == pytest.approx(0.5)
    assert gap_recovered_from_means(0.1, 0.2, 0.3, higher_is_better=False).value == pytest.approx(0.5)
    assert gap_recovered_from_means(0.7, 0.72, 0.7).status is Status.NO_GAP
    with pytest.raises(ValueError, match="finite"):
        gap_recovered_from_means(float("nan"), 0.1, 0.1)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="control has 2"):
        gap_recovered([1.0], [1.0], [1.0, 2.0])
