"""Ratios of interleaved measurements, their interval over launches, and percentiles that the sample can bound."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from distbench.stats.percentiles import distribution, percentile, values_needed
from distbench.stats.speed import half_width, launch_ratio, paired_ratios


def test_ratios_use_only_rounds_that_both_sides_ran() -> None:
    teacher, student = {(0, 0): 10.0, (0, 1): 12.0, (1, 0): 9.0}, {(0, 0): 5.0, (1, 0): 3.0, (1, 1): 1.0}
    assert paired_ratios(teacher, student, higher_is_better=False) == {(0, 0): 2.0, (1, 0): 3.0}
    assert paired_ratios(student, teacher, higher_is_better=True) == {(0, 0): 2.0, (1, 0): 3.0}


def test_few_rounds_have_no_interval_and_none_no_value() -> None:
    assert launch_ratio({}).value is None
    two = launch_ratio({(0, 0): 2.0, (0, 1): 4.0})
    assert (two.value, two.lo, two.hi) == (3.0, None, None)
    assert half_width(two) is None


def test_few_launches_give_students_t_on_logarithms() -> None:
    ratios = {(0, 0): 1.0, (0, 1): 2.0, (0, 2): 900.0, (1, 0): 2.0, (2, 0): 4.0}  # medians 2, 2, 4
    found = launch_ratio(ratios)
    error = math.log(2) / 3  # sd of (log 2, log 2, log 4) is log 2 / √3, over √3
    reach = 4.302652729911275 * error  # t(.975, 2)
    assert found.value == pytest.approx(2**1.25)  # Walsh averages 1, 1, 1, 1.5, 1.5, 2 (in log 2)
    assert (found.lo, found.hi) == pytest.approx((2 ** (4 / 3) * math.exp(-reach), 2 ** (4 / 3) * math.exp(reach)))
    assert (found.n, found.n_clusters) == (5, 3)
    assert "t interval" in found.method


def test_seven_launches_give_the_interval_of_signed_ranks() -> None:
    """The third smallest of 28 Walsh averages: P(W ≤ 2) = 3/128 ≤ .025 < P(W ≤ 3) = 5/128."""
    ratios = {(i, 0): 2.0**i for i in range(7)}  # logarithms 0 … 6, in log 2
    found = launch_ratio(ratios)
    assert found.value == pytest.approx(2**3)
    assert (found.lo, found.hi) == pytest.approx((2**1, 2**5))  # smallest averages: 0, 0.5, 1, 1, …
    assert "Wilcoxon" in found.method


def test_the_interval_of_signed_ranks_agrees_with_the_test() -> None:
    random = np.random.default_rng(5)
    logs = random.normal(0.3, 0.4, size=12)
    found = launch_ratio({(i, 0): float(np.exp(x)) for i, x in enumerate(logs)})
    assert found.lo is not None
    assert found.hi is not None
    for inside, end in ((1e-9, found.lo), (-1e-9, found.hi)):
        assert stats.wilcoxon(logs - math.log(end) - inside, method="exact").pvalue > 0.05
        assert stats.wilcoxon(logs - math.log(end) + inside, method="exact").pvalue <= 0.05


def test_a_launch_that_went_wrong_neither_pulls_nor_widens() -> None:
    random = np.random.default_rng(6)
    good = {(i, 0): float(2 * np.exp(random.normal(0, 0.01))) for i in range(12)}
    with_bad, without = launch_ratio(good | {(3, 0): 9.0}), launch_ratio(good)
    assert with_bad.value == pytest.approx(without.value, rel=0.01)
    assert half_width(with_bad) == pytest.approx(half_width(without), rel=0.6)


def test_more_rounds_do_not_hide_the_spread_between_launches() -> None:
    random = np.random.default_rng(0)
    few, many = (
        launch_ratio({(i, j): float(2 + 0.3 * i + 0.01 * random.normal()) for i in range(4) for j in range(rounds)})
        for rounds in (3, 300)
    )
    assert half_width(many) == pytest.approx(half_width(few), rel=0.1)


@pytest.mark.parametrize("launches", [5, 9])
def test_the_interval_covers_the_truth_as_often_as_it_says(launches: int) -> None:
    random = np.random.default_rng(1)
    held, trials = 0, 400
    for _ in range(trials):
        shift = random.normal(0, 0.02, size=launches)
        ratios = {
            (i, j): float(2 * np.exp(shift[i] + random.normal(0, 0.01))) for i in range(launches) for j in range(6)
        }
        found = launch_ratio(ratios)
        held += found.lo is not None and found.hi is not None and found.lo <= 2 <= found.hi
    assert held >= stats.binom.ppf(0.001, trials, 0.95)


def test_one_launch_says_what_its_interval_leaves_out() -> None:
    random = np.random.default_rng(2)
    found = launch_ratio({(0, i): float(2 + 0.01 * random.normal()) for i in range(30)})
    assert found.lo is not None
    assert found.hi is not None
    assert found.lo <= 2 <= found.hi
    assert "spread between launches" in found.method


@pytest.mark.parametrize(("percent", "needs"), [(50, 5), (90, 29), (95, 59), (99, 299)])
def test_a_percentile_needs_a_sample_that_can_bound_it(percent: float, needs: int) -> None:
    assert values_needed(percent) == needs
    assert percentile([1.0] * (needs - 1), percent).value is None
    enough = percentile([float(i) for i in range(needs)], percent)
    assert enough.value is not None
    assert enough.upper == needs - 1  # at the limit the bound is the largest value


def test_the_upper_bound_holds_as_often_as_it_says() -> None:
    random = np.random.default_rng(3)
    truth = float(stats.expon.ppf(0.9))
    bounds = [percentile(list(random.exponential(size=100)), 90).upper for _ in range(500)]
    assert sum(bound is not None and bound >= truth for bound in bounds) >= stats.binom.ppf(0.001, 500, 0.95)


@pytest.mark.parametrize("percent", [0, 100, -1])
def test_there_is_no_percentile_beyond_the_sample(percent: float) -> None:
    with pytest.raises(ValueError, match="between 0 and 100"):
        percentile([1.0] * 500, percent)


@pytest.mark.parametrize("n", [1, 99, 100, 101, 930, 12_345])
def test_a_thinned_distribution_is_that_of_all_values(n: int) -> None:
    values = np.random.default_rng(n).exponential(size=n).tolist()
    found = distribution(values)
    assert len(found) == min(n, 100)
    assert found == sorted(found)
    assert (found[-1], set(found) <= set(values)) == (max(values), True)
    for k, value in enumerate(found, 1):
        share = k / len(found)
        below = sum(each <= value for each in values) / n
        assert share <= below + 1e-12  # at least this share of all lies at or below it
        assert sum(each < value for each in values) / n < share  # and no smaller value would do
