"""Changes between two models or runs: against independent computations, published numbers and their own duals."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize

from distbench import stats
from distbench.stats import Cells, Estimate, RetainedTwice

counts = st.integers(0, 60)
tables = st.tuples(counts, counts, counts, counts).filter(lambda c: sum(c) >= 2).map(lambda c: Cells(*c))


def likeliest_loss(cells: Cells, difference: float) -> float:
    """P(lost) where the multinomial likelihood is largest among tables with P(won) − P(lost) = `difference`."""
    low, high = max(0.0, -difference), (1 - difference) / 2

    def negative(q: float) -> float:
        won, same = q + difference, 1 - 2 * q - difference
        terms = ((cells.n10, q), (cells.n01, won), (cells.n - cells.discordant, same))
        return -sum(count * math.log(max(share, 1e-300)) for count, share in terms if count)

    return float(optimize.minimize_scalar(negative, bounds=(low, high), method="bounded", options={"xatol": 1e-10}).x)


@pytest.mark.parametrize("cells", [Cells(40, 6, 2, 12), Cells(90, 1, 0, 9), Cells(10, 5, 5, 10), Cells(3, 20, 4, 3)])
@pytest.mark.parametrize("difference", [-0.3, -0.05, 0.02, 0.2])
def test_the_statistic_has_the_variance_of_the_constrained_maximum(cells: Cells, difference: float) -> None:
    q = likeliest_loss(cells, difference)
    variance = cells.n * (2 * q + difference - difference**2)
    expected = (cells.n01 - cells.n10 - cells.n * difference) / math.sqrt(variance)
    assert stats.rate_difference_statistic(cells, difference) == pytest.approx(expected, rel=1e-4, abs=1e-5)


@given(tables)
def test_at_zero_it_is_mcnemars_test(cells: Cells) -> None:
    chi2 = stats.mcnemar(cells, method="chi2").statistic
    assert stats.rate_difference_statistic(cells, 0.0) ** 2 == pytest.approx(chi2, rel=1e-9, abs=1e-9)


@given(tables, st.sampled_from([0.01, 0.05, 0.2]))
def test_interval_and_p_value_say_the_same(cells: Cells, alpha: float) -> None:
    after, before = cells.scores()
    found = stats.paired_change(after, before, alpha=alpha)
    limits = found.estimate.interval
    assert limits is not None
    assert found.p_value is not None
    assert -1 <= limits.lo <= found.estimate.value <= limits.hi <= 1
    if abs(found.p_value - alpha) > 1e-6:
        assert limits.contains(0.0) == (found.p_value > alpha)


def test_scores_that_never_differ_still_have_an_interval() -> None:
    found = stats.paired_change([1.0] * 90 + [0.0] * 10, [1.0] * 90 + [0.0] * 10).estimate
    assert found.lo == pytest.approx(-found.hi)
    assert found.hi == pytest.approx(3.8415 / 103.8415, abs=1e-4)  # z²/(n + z²)


def test_the_difference_of_two_rates_is_newcombes() -> None:
    """56/70 against 48/80: .0524 to .3339 (Newcombe 1998, Statistics in Medicine 17:873, method 10)."""
    found = stats.independent_change(stats.proportion(56, 70), stats.proportion(48, 80)).estimate
    assert found.value == pytest.approx(0.2)
    assert (found.lo, found.hi) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_the_difference_of_two_means_is_nearly_welchs() -> None:
    random = np.random.default_rng(1)
    after, before = random.normal(0.6, 0.2, 300), random.normal(0.5, 0.3, 400)
    ours = stats.independent_change(stats.mean_estimate(after), stats.mean_estimate(before))
    welch = stats.unpaired_difference(after, before)
    assert (ours.estimate.lo, ours.estimate.hi) == pytest.approx((welch.lo, welch.hi), rel=0.01)


@given(st.floats(-2, 2), st.floats(0.01, 1), st.floats(0.01, 1), st.sampled_from([5.0, 60.0, None]))
def test_an_independent_p_value_is_alpha_where_the_interval_ends_at_zero(
    value: float, low: float, high: float, df: float | None
) -> None:
    one = Estimate(value, value - low, value + high, 100, "m", df=df)
    found = stats.independent_change(one, Estimate(0.0, -0.1, 0.2, 50, "m"), alpha=0.05)
    assert found.estimate.interval is not None
    assert found.p_value is not None
    if abs(found.p_value - 0.05) > 1e-9:
        assert found.estimate.interval.contains(0.0) == (found.p_value > 0.05)


def test_what_is_missing_on_a_side_has_its_reason() -> None:
    none = Estimate(None, None, None, 0, "m", reason="the teacher is at chance")
    found = stats.independent_change(Estimate(0.9, 0.8, 1.0, 10, "m"), none)
    assert (found.estimate.value, found.p_value, found.estimate.reason) == (None, None, "the teacher is at chance")
    open_end = Estimate(0.9, 0.8, math.inf, 10, "m")
    assert stats.independent_change(open_end, Estimate(0.9, 0.8, 1.0, 10, "m")).estimate.interval is None


def test_a_ratio_of_ratios_is_a_difference_of_logarithms() -> None:
    found = stats.independent_times(Estimate(3.0, 2.0, 4.5, 30, "m"), Estimate(1.5, 1.0, 2.25, 30, "m")).estimate
    assert found.value == pytest.approx(2.0)
    assert found.hi / found.value == pytest.approx(math.exp(math.hypot(math.log(1.5), math.log(1.5))))


def test_clusters_never_make_a_change_more_certain() -> None:
    random = np.random.default_rng(2)
    for _ in range(20):
        before = (random.random(200) < 0.8).astype(float)
        after = np.where(random.random(200) < 0.1, 1 - before, before)
        clusters = np.arange(200) // 10
        free, held = stats.paired_change(after, before), stats.paired_change(after, before, clusters=clusters)
        assert held.estimate.hi - held.estimate.lo >= free.estimate.hi - free.estimate.lo - 1e-12
        assert held.p_value >= free.p_value - 1e-12


def test_clustered_scores_that_never_differ_count_as_their_clusters() -> None:
    scores = np.array([1.0] * 160 + [0.0] * 40)
    found = stats.paired_change(scores, scores, clusters=np.arange(200) // 10).estimate
    assert found.hi == pytest.approx(3.8415 / (20 + 3.8415), abs=1e-4)


def test_equal_scores_of_another_kind_prove_nothing() -> None:
    found = stats.paired_change([0.3, 0.7, 0.9], [0.3, 0.7, 0.9])
    assert found.estimate.value == 0.0
    assert found.estimate.interval is None
    assert found.p_value is None


def test_what_is_retained_changes_by_the_difference_of_both_shares() -> None:
    random = np.random.default_rng(3)
    teacher = (random.random(500) < 0.85).astype(float)
    before = np.where(random.random(500) < 0.1, 1 - teacher, teacher)
    after = np.where(random.random(500) < 0.04, 1 - teacher, teacher)
    found = stats.retained_change([RetainedTwice((after, teacher), (before, teacher), (0.25, 1.0))]).estimate
    shares = [stats.retained(each, teacher, baseline=0.25).value for each in (after, before)]
    assert found.value == pytest.approx(shares[0] - shares[1])
    # where the teacher is the same, Fieller's theorem knows the interval, too: a ratio of means of (s' − s, t − b)
    fieller = stats.fieller(after - before, teacher - 0.25)
    assert (found.lo, found.hi) == pytest.approx((fieller.lo, fieller.hi), abs=0.004)


def test_all_answers_equal_are_no_change_at_all() -> None:
    scores = np.array([1.0, 0.0, 1.0])
    found = stats.retained_change([RetainedTwice((scores, scores), (scores, scores), same_outputs=True)])
    assert (found.estimate.lo, found.estimate.hi, found.estimate.method) == (0.0, 0.0, stats.IDENTICAL)


def test_equal_scores_of_other_answers_keep_an_interval() -> None:
    scores = np.array([1.0] * 80 + [0.0] * 20)
    found = stats.retained_change([RetainedTwice((scores, scores), (scores, scores), (0.25, 1.0))]).estimate
    assert found.lo < 0 < found.hi


def test_a_teacher_at_chance_has_no_change_of_what_is_retained() -> None:
    scores = np.array([1.0, 0.0] * 50)
    found = stats.retained_change([RetainedTwice((scores, scores), (scores, scores), (0.5, 1.0))])
    assert found.estimate.value is None
    assert found.estimate.status is stats.Status.NO_SIGNAL


def test_lower_is_better_turns_the_sign_of_a_retained_change() -> None:
    teacher, before, after = (np.array(x) for x in ([0.1, 0.2, 0.15, 0.1], [0.3, 0.3, 0.2, 0.4], [0.2, 0.3, 0.2, 0.1]))
    found = stats.retained_change([RetainedTwice((after, teacher), (before, teacher), (1.0, 0.0))]).estimate
    assert found.value > 0
