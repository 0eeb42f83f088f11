import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from distbench.stats import (
    Cells,
    Interval,
    Moments,
    Status,
    delta_method,
    fieller,
    fieller_interval,
    mean_covariance,
    ratio_of_means,
)

from .strategies import score_pairs


def test_known_limits():
    # Roots of ttest_1samp((s - b) - rho (t - b)).pvalue == 0.05, scipy 1.17.1; cells 136, 9, 5, 50.
    limits = fieller(*Cells(136, 9, 5, 50).scores())
    assert limits.lo == pytest.approx(0.9228494245891402, abs=1e-8)
    assert limits.hi == pytest.approx(1.0238508545928753, abs=1e-8)


@given(score_pairs(), st.sampled_from([0.01, 0.05, 0.2]))
def test_limits_are_where_the_t_test_of_the_contrast_turns(pair, alpha):
    num, den = pair
    limits = fieller(num, den, alpha=alpha)
    assume(limits.bounded)
    for limit in (limits.lo, limits.hi):
        assert stats.ttest_1samp(num - limit * den, 0.0).pvalue == pytest.approx(alpha, rel=1e-5)


@given(score_pairs())
def test_contains_the_ratio_and_widens_with_confidence(pair):
    ratio = pair[0].mean() / pair[1].mean()
    wide, narrow = (fieller(*pair, alpha=alpha) for alpha in (0.01, 0.2))
    assert narrow.contains(ratio)
    assert wide.lo <= narrow.lo
    assert narrow.hi <= wide.hi


@given(score_pairs(), st.randoms(use_true_random=False))
def test_order_does_not_matter(pair, random):
    order = list(range(pair[0].size))
    random.shuffle(order)
    before, after = fieller(*pair), fieller(*(x[order] for x in pair))
    assert (after.lo, after.hi) == pytest.approx((before.lo, before.hi))


def test_a_noisy_denominator_is_unbounded_and_says_so():
    num, den = [1.0, 0.0, 1.0, 0.5], [1.0, -1.0, 0.6, -0.5]
    assert fieller(num, den) == Interval(-math.inf, math.inf)
    estimate = ratio_of_means(mean_covariance(num, den), empty=(Status.NO_GAP, "no gap"))
    assert (estimate.value, estimate.lo, estimate.status, estimate.reason) == (None, None, Status.NO_GAP, "no gap")


def test_a_denominator_exactly_at_the_limit_gives_a_half_line():
    quantile = stats.norm.isf(0.025)
    covariance = np.diag([0.0, 0.0])
    covariance[1, 1] = 1 / quantile**2
    limits = fieller_interval(Moments(np.array([1.0, 1.0]), covariance, math.inf, 10))
    assert limits.lo == pytest.approx(0.5)
    assert limits.hi == math.inf or limits.hi > 1e6


def test_the_ratio_has_an_interval_exactly_where_fieller_is_bounded():
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(200):
        den = rng.normal(0.5, 1.0, 12)
        moments = mean_covariance(den + rng.normal(0, 0.3, 12), den)
        estimate = ratio_of_means(moments)
        bounded = fieller_interval(moments).bounded and moments.mean[1] > 0
        assert (estimate.status is Status.OK) == bounded
        seen.add(bounded)
    assert seen == {True, False}


def test_one_sample_or_one_cluster_has_a_value_but_no_interval():
    estimate = ratio_of_means(mean_covariance([0.5, 0.5], [1.0, 1.0], clusters=["a", "a"]))
    assert (estimate.value, estimate.status) == (0.5, Status.NO_INTERVAL)
    with pytest.raises(ValueError, match="two"):
        fieller([1.0], [1.0])


@pytest.mark.parametrize("factor", [1.0, 0.5, 1 / 3])
def test_without_spread_there_is_no_interval(factor):
    den = np.array([0.3, 0.7, 0.9, 0.4])
    estimate = ratio_of_means(mean_covariance(factor * den, den))
    assert estimate.value == pytest.approx(factor)
    assert (estimate.lo, estimate.status) == (None, Status.NO_INTERVAL)


def test_known_delta_method():
    # Closed form: SE = sd(s - r t)/(sqrt(n) mean(t)); cells 136, 9, 5, 50.
    estimate = delta_method(mean_covariance(*Cells(136, 9, 5, 50).scores()))
    assert estimate.se == pytest.approx(0.025509974849857505, abs=1e-9)
    assert (estimate.lo, estimate.hi) == pytest.approx((0.9224151611512049, 1.0224124250556914), abs=1e-9)


def test_the_delta_method_needs_a_denominator():
    with pytest.raises(ValueError, match="denominator"):
        delta_method(mean_covariance([1.0, 2.0], [1.0, -1.0]))
