"""Energy ratios: windows of both sides."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats as reference

from distbench.stats.energy import window_ratio
from distbench.stats.estimate import Status
from distbench.stats.measured import ratio_of
from distbench.stats.speed import Round
from scripts.simulate_energy import covered

Side = dict[Round, float]


def side(values: list[float], launches: int = 1) -> Side:
    return {(index % launches, index // launches): value for index, value in enumerate(values)}


TEACHER, STUDENT = [2.0, 2.1, 1.9, 2.05, 1.95, 2.2], [1.0, 1.01, 0.99, 1.02, 0.98]


def test_one_launch_is_welch_over_windows() -> None:
    found = window_ratio(side(TEACHER), side(STUDENT))
    expected = reference.ttest_ind(np.log(TEACHER), np.log(STUDENT), equal_var=False)
    interval = expected.confidence_interval(0.95)
    assert found.value == pytest.approx(math.exp(np.log(TEACHER).mean() - np.log(STUDENT).mean()))
    assert (found.lo, found.hi) == (pytest.approx(math.exp(interval.low)), pytest.approx(math.exp(interval.high)))
    assert found.df == pytest.approx(expected.df)
    assert "spread between launches is not in it" in found.method


def test_from_three_launches_on_a_launch_is_one_draw() -> None:
    teacher, student = [2.0, 2.2, 1.8, 2.0, 2.2, 1.8], [1.0, 1.0, 0.95, 1.0, 1.0, 0.95]
    found = window_ratio(side(teacher, 3), side(student, 3))
    logs = [np.log(values[:3]) for values in (teacher, student)]  # both windows of a launch are equal
    interval = reference.ttest_rel(*logs).confidence_interval(0.95)
    assert (found.lo, found.hi) == (pytest.approx(math.exp(interval.low)), pytest.approx(math.exp(interval.high)))
    assert (found.n_clusters, found.df) == (3, 2)
    assert "3 launches" in found.method


def test_what_drifts_from_launch_to_launch_cancels() -> None:
    drift = [1.0, 1.4, 0.8]
    teacher = side([2.0 * drift[i % 3] * (1 + 0.001 * i) for i in range(9)], 3)
    student = side([1.0 * drift[i % 3] * (1 + 0.002 * i) for i in range(9)], 3)
    found = window_ratio(teacher, student)
    assert found.lo is not None
    assert found.hi is not None
    assert found.hi - found.lo < 0.05


def test_a_launch_that_one_side_lacks_is_no_pair() -> None:
    teacher, student = side(TEACHER, 3), side([1.0, 1.1, 0.9, 1.0, 1.1, 0.9], 2)
    assert "Welch" in window_ratio(teacher, student).method


def test_sides_may_differ_in_number_but_not_by_being_empty() -> None:
    assert window_ratio(side(TEACHER), {}).reason == "no window of the student"
    few = window_ratio(side(TEACHER), side(STUDENT[:4]))
    assert (few.status, few.lo) == (Status.NO_INTERVAL, None)
    assert few.value is not None
    assert few.reason == "4 windows; an interval needs at least 5"


def test_impossible_and_too_equal_windows_have_no_interval() -> None:
    assert window_ratio(side([0.0, *TEACHER]), side(STUDENT)).status is Status.UNDEFINED
    same = window_ratio(side([2.0] * 5), side([1.0] * 5))
    assert (same.value, same.lo, same.status) == (pytest.approx(2.0), None, Status.NO_INTERVAL)


def test_the_ratio_turns_with_the_direction_and_the_kind_is_heeded() -> None:
    down = window_ratio(side(TEACHER), side(STUDENT))
    up = window_ratio(side(TEACHER), side(STUDENT), higher_is_better=True)
    assert down.value is not None
    assert up.value == pytest.approx(1 / down.value)
    paired = ratio_of("paired", side(TEACHER), side(STUDENT), higher_is_better=False)
    windows = ratio_of("windows", side(TEACHER), side(STUDENT), higher_is_better=False)
    assert "paired" in paired.method
    assert windows == down


def test_a_smaller_alpha_is_a_wider_interval() -> None:
    wide, narrow = (window_ratio(side(TEACHER), side(STUDENT), alpha=alpha) for alpha in (0.01, 0.1))
    assert wide.lo is not None
    assert narrow.lo is not None
    assert wide.lo < narrow.lo


@pytest.mark.parametrize(
    ("design", "spread"),
    [((1, 5), (0.01, 0.0, 0.0)), ((3, 3), (0.005, 0.03, 0.0)), ((5, 3), (0.01, 0.01, 0.1))],
)
def test_the_interval_holds_the_truth(design: tuple[int, int], spread: tuple[float, float, float]) -> None:
    """95 % within the error of 800 simulations (2.3 % at three standard errors); the full table is the script's."""
    held, width = covered(design, spread, 800)
    assert 0.925 <= held <= 0.985
    assert 0 < width < 0.3


def test_windows_taken_as_independent_promise_too_much_or_too_little() -> None:
    held, _ = covered((3, 3), (0.005, 0.03, 0.0), 400, flat=True)
    assert held < 0.85
    _, narrow = covered((5, 2), (0.01, 0.0, 0.1), 100)
    _, wide = covered((5, 2), (0.01, 0.0, 0.1), 100, flat=True)
    assert wide > 3 * narrow, "and where both sides drift together, too little"
