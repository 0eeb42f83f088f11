import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distbench.stats import Interval, clopper_pearson, proportion_interval, wilson

METHODS = ["wilson", "clopper-pearson", "jeffreys", "agresti-coull", "normal"]


def test_known_wilson_limits():
    # statsmodels 0.15.0 proportion_confint(wilson); scipy's binomtest agrees.
    assert wilson(10, 10).lo == pytest.approx(0.7224672001371106, abs=1e-9)
    assert wilson(1, 1).lo == pytest.approx(0.2065493143772374, abs=1e-9)
    assert wilson(10, 10).hi == 1.0


def test_known_clopper_pearson_limits():
    limits = clopper_pearson(0, 50)
    assert limits.lo == 0.0
    assert limits.hi == pytest.approx(1 - 0.025 ** (1 / 50), abs=1e-12)


@pytest.mark.parametrize(("ours", "theirs"), [("wilson", "wilson"), ("clopper-pearson", "exact")])
@pytest.mark.parametrize("k", [0, 3, 17, 20])
def test_agrees_with_scipy(ours, theirs, k):
    expected = stats.binomtest(k, 20).proportion_ci(0.9, method=theirs)
    limits = proportion_interval(k, 20, alpha=0.1, method=ours)
    assert (limits.lo, limits.hi) == pytest.approx((expected.low, expected.high), abs=1e-12)


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from(METHODS))
def test_inside_zero_one_and_around_the_estimate(n, share, method):
    k = round(share * n)
    limits = proportion_interval(k, n, method=method)
    assert 0 <= limits.lo <= limits.hi <= 1
    assert limits.lo <= k / n + 1e-12
    assert limits.hi >= k / n - 1e-12


@given(st.integers(1, 500), st.floats(0, 1), st.sampled_from(METHODS))
def test_less_confidence_is_narrower(n, share, method):
    k = round(share * n)
    wide, narrow = (proportion_interval(k, n, alpha=alpha, method=method) for alpha in (0.01, 0.2))
    assert wide.lo <= narrow.lo + 1e-12
    assert narrow.hi <= wide.hi + 1e-12


@pytest.mark.parametrize(("k", "n"), [(1, 0), (-1, 5), (6, 5), (float("nan"), 5)])
def test_impossible_counts_are_refused(k, n):
    with pytest.raises(ValueError, match="successes"):
        wilson(k, n)


def test_an_unknown_method_names_the_known_ones():
    with pytest.raises(ValueError, match="wilson, clopper-pearson"):
        proportion_interval(1, 2, method="wald")


def test_an_interval_may_be_unbounded_but_not_reversed():
    everything = Interval(-math.inf, math.inf)
    assert everything.contains(1e300)
    assert not everything.bounded
    assert Interval(1.0, 1.0).contains(1.0)
    for lo, hi in ((2.0, 1.0), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="interval"):
            Interval(lo, hi)
