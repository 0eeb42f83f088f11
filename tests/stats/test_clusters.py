import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from distbench.stats import mean_covariance

from .strategies import score_pairs

# inspect_ai's _clustered_stderr and statsmodels 0.15.0 OLS(const).fit(cov_type="cluster") agree on this case.
DIFFERENCE = [0, 0, -1, 0, 0, -1, 1, 0, 0, 0, 0, 0]
CLUSTER = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_known_clustered_standard_error():
    moments = mean_covariance(DIFFERENCE, clusters=CLUSTER)
    assert moments.covariance[0, 0] ** 0.5 == pytest.approx(0.15957118462605632, abs=1e-12)
    assert (moments.df, moments.n, moments.n_clusters) == (3, 12, 4)


def test_equal_values_within_clusters_count_once():
    values = np.repeat([0.2, -0.1, 0.3], 3)
    moments = mean_covariance(values, clusters=np.repeat([0, 1, 2], 3))
    assert moments.covariance[0, 0] ** 0.5 == pytest.approx(stats.sem([0.2, -0.1, 0.3]), abs=1e-12)


@given(score_pairs())
def test_independent_samples_give_the_textbook_covariance(pair):
    moments = mean_covariance(*pair)
    assert moments.covariance == pytest.approx(np.cov(np.stack(pair)) / pair[0].size)


@given(score_pairs())
def test_clusters_of_one_are_independent_samples(pair):
    plain = mean_covariance(*pair)
    single = mean_covariance(*pair, clusters=range(pair[0].size))
    assert single.covariance == pytest.approx(plain.covariance)
    assert single.df == plain.df


@given(score_pairs(), st.integers(2, 3), st.randoms(use_true_random=False))
def test_neither_order_nor_names_of_clusters_matter(pair, size, random):
    labels = [f"doc{i // size}" for i in range(pair[0].size)]
    order = list(range(pair[0].size))
    random.shuffle(order)
    before = mean_covariance(*pair, clusters=labels)
    after = mean_covariance(*(x[order] for x in pair), clusters=[(labels[i], 1) for i in order])
    assert after.covariance == pytest.approx(before.covariance)


@pytest.mark.parametrize(("columns", "clusters"), [([[1.0]], None), ([[1.0, 2.0]], ["a", "a"])])
def test_one_unit_has_no_covariance(columns, clusters):
    moments = mean_covariance(*columns, clusters=clusters)
    assert moments.df == 0
    assert np.isnan(moments.covariance).all()


def test_a_contrast_is_linear_and_centring_keeps_the_covariance():
    moments = mean_covariance([1.0, 2.0, 4.0], [1.0, 1.0, 3.0])
    mean, variance = moments.contrast((1.0, -1.0))
    assert mean == pytest.approx(2 / 3)
    assert variance == pytest.approx(stats.sem([0.0, 1.0, 1.0]) ** 2)
    centred = moments.centred(1.0, higher_is_better=False)
    assert centred.mean == pytest.approx(1.0 - moments.mean)
    assert centred.covariance is moments.covariance


def test_a_missing_cluster_is_refused():
    with pytest.raises(ValueError, match="missing"):
        mean_covariance([1.0, 2.0], clusters=["a", None])
