import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy

from distbench.stats import (
    Status,
    js_divergence,
    kl_divergence,
    kl_top_k_lower_bound,
    mean_estimate,
    summarise_divergence,
)


@st.composite
def distributions(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    options = draw(st.integers(2, 8))
    return [rng.dirichlet(np.full(options, draw(st.floats(0.3, 3.0))), size=5) for _ in range(2)]


@given(distributions())
def test_agrees_with_scipy(pair):
    t, s = pair
    assert kl_divergence(t, s) == pytest.approx(entropy(t, s, axis=1))
    assert js_divergence(t, s) == pytest.approx(jensenshannon(t, s, axis=1) ** 2, abs=1e-9)


@given(distributions())
def test_bounds(pair):
    t, s = pair
    assert (kl_divergence(t, s) >= -1e-12).all()
    assert kl_divergence(t, t) == pytest.approx(0)
    js = js_divergence(t, s)
    assert ((js >= -1e-12) & (js <= math.log(2) + 1e-12)).all()
    assert js == pytest.approx(js_divergence(s, t))


@given(distributions(), st.integers(1, 7))
def test_the_top_k_bound_is_a_lower_bound(pair, k):
    t, s = pair
    top = np.argsort(-t, axis=1)[:, :k]
    bound = kl_top_k_lower_bound(np.take_along_axis(t, top, 1), np.take_along_axis(s, top, 1))
    # The student's rest is 1 − Σ top, which keeps few digits where it is small.
    rest = np.array([1 - np.take_along_axis(each, top, 1).sum(1) for each in (t, s)])
    lost = np.divide(8 * np.finfo(float).eps * rest[0], rest[1], out=np.zeros_like(rest[0]), where=rest[1] > 0)
    assert (bound <= kl_divergence(t, s) + 1e-9 + np.maximum(lost, 0.0)).all()


def test_a_rest_that_the_student_rules_out_is_infinite_only_beyond_rounding():
    assert kl_top_k_lower_bound([[0.6, 0.3]], [[0.5, 0.5]])[0] == math.inf
    assert math.isfinite(kl_top_k_lower_bound([[0.6, 0.3999]], [[0.5, 0.5]])[0])


def test_known_zero_support_is_infinite_and_counted():
    # scipy 1.17.1 special.rel_entr.
    assert js_divergence([[0.5, 0.5]], [[1.0, 0.0]])[0] == pytest.approx(0.21576155433883568, abs=1e-12)
    rows = kl_divergence([[0.5, 0.5], [0.5, 0.5], [1.0, 0.0]], [[1.0, 0.0], [0.5, 0.5], [0.5, 0.5]])
    summary = summarise_divergence(rows)
    assert (summary.mean, summary.n, summary.n_infinite) == (math.inf, 3, 1)
    assert (summary.median, summary.p99) == (pytest.approx(math.log(2)), math.inf)
    assert summary.finite_mean.value == pytest.approx(math.log(2) / 2)


def test_tokens_of_a_document_are_not_independent():
    rows = np.repeat([0.1, 0.4, 0.2, 0.3], 10)
    documents = np.repeat(np.arange(4), 10)
    summary = summarise_divergence(rows, clusters=documents)
    assert summary.finite_mean == mean_estimate(rows, clusters=documents)
    assert summary.finite_mean.se > 2 * summarise_divergence(rows).finite_mean.se
    assert summary.median == pytest.approx(0.25)


def test_all_infinite():
    summary = summarise_divergence([math.inf, math.inf])
    assert (summary.mean, summary.finite_mean.value, summary.finite_mean.status) == (math.inf, None, Status.UNDEFINED)


@pytest.mark.parametrize(
    ("t", "s", "said"),
    [
        ([[0.5, 0.5]], [[0.5, 0.3, 0.2]], "same rows"),
        ([[0.5, 0.6]], [[0.5, 0.5]], "sum to 1"),
        ([[1.5, -0.5]], [[0.5, 0.5]], "≥ 0"),
        ([[math.nan, 0.5]], [[0.5, 0.5]], "finite"),
        ([0.5, 0.5], [0.5, 0.5], "table"),
    ],
)
def test_what_is_no_distribution_is_refused(t, s, said):
    with pytest.raises(ValueError, match=said):
        kl_divergence(t, s)


def test_bad_summaries_are_refused():
    with pytest.raises(ValueError, match="NaN"):
        summarise_divergence([0.1, math.nan])
    with pytest.raises(ValueError, match="more than 1"):
        kl_top_k_lower_bound([[0.9, 0.2]], [[0.5, 0.5]])
