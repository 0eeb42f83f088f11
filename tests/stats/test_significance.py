import math

import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from distbench.stats import Cells, contrast_test, margin_test, mcnemar, noninferiority, retained, tost

from .strategies import score_pairs, tables


def test_known_noninferiority():
    # Constrained maximum likelihood cross-checked with scipy's SLSQP.
    test = noninferiority(Cells(400, 30, 18, 52), margin=0.9, baseline=0.25)
    assert test.statistic == pytest.approx(2.5430386543058083)
    assert test.p_above == pytest.approx(0.005494653561073862)
    assert test.p_above + test.p_below == pytest.approx(1)


@given(score_pairs())
def test_the_contrast_test_is_the_one_sample_t_test(pair):
    s, t = pair
    test = contrast_test(s, t, margin=0.8, baseline=0.1)
    expected = stats.ttest_1samp((s - 0.1) - 0.8 * (t - 0.1), 0.0, alternative="greater")
    assert (test.statistic, test.p_above) == pytest.approx((expected.statistic, expected.pvalue))


@given(score_pairs(min_size=8))
def test_the_contrast_test_agrees_with_the_interval(pair):
    estimate = retained(*pair)
    if estimate.lo is not None:
        assert contrast_test(*pair, margin=estimate.lo - 1e-6).p_above < 0.025
        assert contrast_test(*pair, margin=estimate.lo + 1e-6).p_above > 0.025
        assert contrast_test(*pair, margin=estimate.hi + 1e-6).p_below < 0.025


def test_the_margin_test_chooses_as_the_estimate_does():
    s, t = Cells(80, 6, 3, 11).scores()
    assert margin_test(s, t, margin=0.9).df is None
    assert margin_test(s, t, margin=0.9, clusters=np.arange(100) // 5).df == 19
    assert margin_test(s + 0.5, t + 0.5, margin=0.9).df == 99
    errors = margin_test(1 - s, 1 - t, margin=0.9, baseline=0.75, higher_is_better=False)
    assert errors == margin_test(s, t, margin=0.9, baseline=0.25)


def test_no_spread_is_no_test():
    assert contrast_test([0.5], [0.5], margin=0.9) is None
    assert contrast_test([0.5, 0.7], [0.5, 0.7], margin=1.0) is None
    assert margin_test([1.0], [1.0], margin=0.9, clusters=["a"]) is None


def test_known_mcnemar():
    # statsmodels 0.15.0 mcnemar; mid-p in closed form (Fagerland, Lydersen & Laake 2013).
    corrected = mcnemar(Cells(50, 30, 12, 108), method="chi2_cc")
    assert (corrected.statistic, corrected.p_value) == pytest.approx((6.880952380952381, 0.008711912962379598))
    assert mcnemar(Cells(50, 10, 2, 38)).p_value == pytest.approx(0.03857421875)
    assert mcnemar(Cells(50, 10, 2, 38), method="mid-p").p_value == pytest.approx(0.022460937499999976)
    assert mcnemar(Cells(50, 30, 12, 108), method="chi2").statistic == pytest.approx(18**2 / 42)


@given(tables)
def test_mcnemar_is_a_p_value_and_symmetric(cells):
    swapped = Cells(cells.n11, cells.n01, cells.n10, cells.n00)
    for method in ("exact", "mid-p", "chi2", "chi2_cc"):
        p = mcnemar(cells, method=method).p_value
        assert 0 <= p <= 1
        assert mcnemar(swapped, method=method).p_value == pytest.approx(p)


@pytest.mark.parametrize("method", ["exact", "mid-p", "chi2", "chi2_cc"])
def test_no_discordant_pair_is_no_difference(method):
    assert mcnemar(Cells(5, 0, 0, 5), method=method).p_value == 1.0


def test_bad_mcnemar_is_refused():
    with pytest.raises(ValueError, match="known: exact"):
        mcnemar(Cells(1, 1, 1, 1), method="guess")
    with pytest.raises(ValueError, match="whole"):
        mcnemar(Cells(1, 0.5, 1, 1))


def test_known_tost():
    # statsmodels 0.15.0 ttost_paired.
    x = [0.8, 0.82, 0.79, 0.85, 0.81, 0.83, 0.8, 0.84]
    y = [0.81, 0.82, 0.8, 0.84, 0.82, 0.83, 0.81, 0.85]
    test = tost(x, y, low=-0.02, high=0.02)
    assert test.p_value == pytest.approx(0.00040268371476059986, abs=1e-9)
    assert (test.t_lower, test.t_upper) == pytest.approx((5.612486080160919, -9.354143466934856), abs=1e-9)
    assert test.equivalent
    assert not tost(x, y, low=-0.0051, high=0.02).equivalent


def test_tost_without_spread():
    same = tost([1.0, 2.0], [1.0, 2.0], low=-0.1, high=0.1)
    assert (same.t_lower, same.t_upper, same.p_value) == (math.inf, -math.inf, 0.0)
    assert not tost([1.0, 2.0], [0.0, 1.0], low=-0.1, high=0.1).equivalent
    assert tost([1.0, 2.0], [0.0, 1.0], low=-0.1, high=1.0).t_upper == 0.0


def test_bad_tost_is_refused():
    with pytest.raises(ValueError, match="low to high"):
        tost([1.0, 2.0], [1.0, 2.0], low=0.1, high=-0.1)
    with pytest.raises(ValueError, match="two samples"):
        tost([1.0], [1.0], low=-0.1, high=0.1)
