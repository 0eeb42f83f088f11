import numpy as np
import pytest
from hypothesis import given
from scipy import stats

from distbench.stats import Status, delta, mean_covariance, mean_estimate, unpaired_difference
from distbench.stats.difference import linear_estimate

from .strategies import score_pairs

STUDENT = [1.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0]
TEACHER = [1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]
CLUSTER = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_known_clustered_difference():
    # statsmodels 0.15.0 OLS(const).fit(cov_type="cluster").
    estimate = delta(STUDENT, TEACHER, clusters=CLUSTER)
    assert estimate.value == pytest.approx(-1 / 12)
    assert estimate.se == pytest.approx(0.15957118462605632, abs=1e-10)
    assert (estimate.lo, estimate.hi) == pytest.approx((-0.5911600602762707, 0.424493393609604), abs=1e-10)
    assert (estimate.method, estimate.df) == ("cluster_t", 3)


@given(score_pairs())
def test_unclustered_is_the_paired_t_interval(pair):
    estimate = delta(*pair)
    expected = stats.ttest_rel(*pair).confidence_interval(0.95)
    assert (estimate.lo, estimate.hi) == pytest.approx((expected.low, expected.high))
    assert estimate.method == "paired_t"


@given(score_pairs())
def test_plus_is_better_whatever_the_direction(pair):
    up, down = delta(*pair), delta(*pair, higher_is_better=False)
    assert (down.value, down.lo, down.hi) == pytest.approx((-up.value, -up.hi, -up.lo))


def test_one_sample_has_no_interval():
    estimate = delta([1.0], [0.5])
    assert (estimate.value, estimate.lo, estimate.status) == (0.5, None, Status.NO_INTERVAL)


def test_known_unpaired_standard_error():
    # scipy 1.17.1 sem of both sides.
    estimate = unpaired_difference(STUDENT, TEACHER)
    assert estimate.se == pytest.approx(0.19299604852813634, abs=1e-12)
    expected = stats.ttest_ind(STUDENT, TEACHER, equal_var=False).confidence_interval(0.95)
    assert (estimate.lo, estimate.hi) == pytest.approx((expected.low, expected.high))


@given(score_pairs())
def test_the_unpaired_variance_is_the_paired_one_plus_the_covariance(pair):
    n = pair[0].size
    paired_variance = delta(*pair).se ** 2
    assert unpaired_difference(*pair).se ** 2 == pytest.approx(paired_variance + 2 * np.cov(*pair)[0, 1] / n)


def test_unpaired_edges():
    assert unpaired_difference([1.0, 1.0], [1.0, 1.0, 1.0]).hi == 0.0
    assert unpaired_difference([1.0], [1.0, 0.0]).status is Status.NO_INTERVAL


def test_a_mean_is_a_linear_estimate():
    assert mean_estimate(STUDENT) == linear_estimate(mean_covariance(STUDENT), (1.0,))


def test_wider_with_confidence():
    wide, narrow = (delta(STUDENT, TEACHER, alpha=alpha) for alpha in (0.01, 0.2))
    assert wide.lo < narrow.lo < narrow.hi < wide.hi


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="length"):
        delta([1.0], [1.0, 2.0])
    with pytest.raises(ValueError, match="alpha"):
        delta([1.0, 2.0], [1.0, 2.0], alpha=2)
