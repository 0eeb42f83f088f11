"""A threshold asked of a published number is decided as the gate decides it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distbench import stats
from distbench.compare.estimates import judged
from distbench.compare.judging import at_least, at_most
from distbench.compare.policies import at_most as gate_at_most
from distbench.schema.estimate import Estimate

LIMITS = st.floats(-1, 2) | st.sampled_from([-math.inf, math.inf])


@given(
    limits=st.tuples(LIMITS, LIMITS).map(sorted),
    threshold=st.floats(-1, 2),
    n=st.integers(2, 400),
    method=st.sampled_from(["score_cml", "fieller_t", "wilson"]),
    clusters=st.none() | st.integers(2, 30),
    status=st.sampled_from([stats.Status.OK, stats.Status.OK, stats.Status.INVALID, stats.Status.NO_SIGNAL]),
)
def test_the_same_verdict_as_the_statistics(limits, threshold, n, method, clusters, status):
    known = status is stats.Status.OK
    estimate = stats.Estimate(
        0.5 if known else None, limits[0] if known else None, limits[1] if known else None, n, method, status,
        n_clusters=clusters,
    )  # fmt: skip
    assert at_least(judged(estimate), threshold)[0] == stats.decide(estimate, threshold).verdict.value or (
        # a published interval that is unbounded on both sides is none
        math.isinf(limits[0]) and math.isinf(limits[1])
    )
    if status is not stats.Status.NO_SIGNAL and not all(map(math.isinf, limits)):
        assert at_most(judged(estimate), threshold)[0] == gate_at_most(estimate, threshold)[0]


@pytest.mark.parametrize("decide", [at_least, at_most])
def test_a_missing_number_never_passes(decide):
    for status in ("ok", "undefined", "no_interval", "left_out"):
        nothing = Estimate(value=None, method="none", status=status, reason="why")
        assert decide(nothing, 0.5) == ("INCONCLUSIVE", "why")
    assert decide(Estimate(value=0.9, method="x"), 0.5)[0] == "INCONCLUSIVE"
