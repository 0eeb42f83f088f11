import numpy as np
import pytest
from sklearn.metrics import matthews_corrcoef

from distbench.stats import (
    Cells,
    Status,
    bootstrap_moments,
    mean_covariance,
    ratio_of_means,
    retained,
    retained_bootstrap,
)

RNG = np.random.default_rng(9)
STUDENT, TEACHER = Cells(136, 9, 5, 50).scores()


@pytest.mark.parametrize(
    ("method", "lo", "hi"),
    # scipy 1.17.1 bootstrap(paired=True), 9,999 resamples.
    [("percentile", 0.921985815602837, 1.0217391304347827), ("BCa", 0.9195618028164887, 1.0211267605633803)],
)
def test_known_limits(method, lo, hi):
    estimate = retained_bootstrap(STUDENT, TEACHER, method=method)
    assert (estimate.lo, estimate.hi) == pytest.approx((lo, hi), abs=0.006)
    assert estimate.se == pytest.approx(0.0255942308975606, abs=0.001)
    fieller = retained(STUDENT, TEACHER, binary=False)
    assert (estimate.lo, estimate.hi) == pytest.approx((fieller.lo, fieller.hi), abs=0.006)


def test_a_seed_repeats():
    first, again = (retained_bootstrap(STUDENT, TEACHER, n_resamples=200, seed=3) for _ in range(2))
    assert first == again


@pytest.mark.parametrize("method", ["percentile", "BCa"])
def test_no_spread_is_no_interval_and_no_nan(method):
    estimate = retained_bootstrap(TEACHER, TEACHER, method=method, n_resamples=200)
    assert (estimate.value, estimate.lo, estimate.status) == (1.0, None, Status.NO_INTERVAL)
    assert retained_bootstrap([1.0], [1.0]).lo is None


def test_no_signal():
    assert retained_bootstrap([1.0, 0.0], [0.0, 0.0]).status is Status.NO_SIGNAL


def test_of_a_mean_the_bootstrap_covariance_is_the_closed_form():
    t = RNG.normal(2.0, 0.5, 80)
    s = 0.9 * t + RNG.normal(0, 0.2, 80)
    labels = np.arange(80) // 2
    moments = bootstrap_moments(lambda i: (s[i].mean(), t[i].mean()), 80, clusters=labels, n_resamples=4000)
    expected = mean_covariance(s, t, clusters=labels)
    assert moments.mean == pytest.approx(expected.mean)
    assert moments.covariance == pytest.approx(expected.covariance, rel=0.12)
    assert (moments.df, moments.n_clusters) == (39, 40)


def test_a_corpus_metric_gets_an_interval():
    label = RNG.integers(0, 2, 300)
    teacher = np.where(RNG.random(300) < 0.9, label, 1 - label)
    student = np.where(RNG.random(300) < 0.93, teacher, 1 - teacher)

    def both(i):
        return matthews_corrcoef(label[i], student[i]), matthews_corrcoef(label[i], teacher[i])

    estimate = ratio_of_means(bootstrap_moments(both, 300, n_resamples=150), method="fieller_bootstrap")
    value = both(np.arange(300))
    assert estimate.value == pytest.approx(value[0] / value[1])
    assert 0.5 < estimate.lo < estimate.value < estimate.hi < 1.2
    assert estimate.method == "fieller_bootstrap"


def test_one_cluster_has_no_covariance():
    moments = bootstrap_moments(lambda i: (1.0, 1.0), 3, clusters=["a", "a", "a"])
    assert moments.df == 0
    assert ratio_of_means(moments).status is Status.NO_INTERVAL


def test_an_undefined_metric_is_refused():
    with pytest.raises(ValueError, match="finite"):
        bootstrap_moments(lambda i: (float("nan"), 1.0), 3)
    with pytest.raises(ValueError, match="undefined on"):
        bootstrap_moments(lambda i: (1.0 if 0 in i else float("nan"), 1.0), 5, n_resamples=100)
    with pytest.raises(ValueError, match="100 resamples"):
        bootstrap_moments(lambda i: (1.0, 1.0), 3, n_resamples=10)
