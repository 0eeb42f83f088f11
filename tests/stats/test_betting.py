import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distbench.stats.betting import Ledger, bets, join, log_wealth

LEVEL = 0.0125
STUDENT, TEACHER = np.array([1.0, 0.0, 1.0, 0.0]), np.array([1.0, 1.0, 0.0, 0.0])


def binary(counts, *, baseline=0.25, planned=500, stake=1.0):
    b = baseline
    ranges = stake * np.array([[-b, 1 - b, -b, 1 - b]])
    counts = np.atleast_2d(np.asarray(counts, dtype=float))
    return Ledger(stake * (STUDENT - b), stake * (TEACHER - b), counts, ranges, np.array([float(planned)]))


def z_of(margin, baseline):
    return (STUDENT - baseline) - margin * (TEACHER - baseline)


def on_the_margin(margin, baseline):
    """Cell probabilities with E z = 0 and no cell empty."""
    z = z_of(margin, baseline)
    p = np.array([0.6, 0.1, 0.02, 0.28])
    p[2] = -(p[[0, 1, 3]] @ z[[0, 1, 3]]) / z[2]
    assert p[2] > 0
    return p / p.sum()


@pytest.mark.parametrize(("margin", "baseline"), [(0.95, 0.25), (0.9, 0.0), (1.0, 0.5), (0.97, 0.1)])
@pytest.mark.parametrize("side", [1.0, -1.0])
def test_the_wealth_of_three_samples_is_expected_to_stay_at_one_where_the_hypothesis_just_holds(margin, baseline, side):
    p = on_the_margin(margin, baseline)
    expected = 0.0
    for draw in itertools.product(range(4), repeat=3):
        counts = np.bincount(draw, minlength=4)
        log = log_wealth(binary(counts, baseline=baseline), (side, -side * margin), level=LEVEL)[0]
        expected += math.prod(p[list(draw)]) * math.exp(log)
    assert expected == pytest.approx(1.0, abs=1e-12)


def test_two_streams_multiply_to_at_most_one_where_only_their_sum_is_on_the_margin():
    good, bad = on_the_margin(0.95, 0.25), on_the_margin(0.95, 0.25)
    z = z_of(0.95, 0.25)
    good[[1, 2]] += [-0.02, 0.02]
    bad[[1, 2]] -= [-0.02, 0.02]
    assert good @ z == pytest.approx(-(bad @ z))
    assert good @ z > 0.03
    expected = 0.0
    for first, second in itertools.product(range(4), repeat=2):
        ledger = join([binary(np.eye(4)[first]), binary(np.eye(4)[second])])
        expected += good[first] * bad[second] * math.exp(log_wealth(ledger, (1.0, -0.95), level=LEVEL)[0])
    assert 0.99 < expected <= 1.0


def test_a_stake_is_part_of_the_bet():
    # Twice the stake on one stream: what was on the margin in sum no longer is, so the wealth is expected to grow.
    good, bad = on_the_margin(0.95, 0.25), on_the_margin(0.95, 0.25)
    good[[1, 2]] += [-0.02, 0.02]
    bad[[1, 2]] -= [-0.02, 0.02]
    expected = 0.0
    for first, second in itertools.product(range(4), repeat=2):
        ledger = join([binary(np.eye(4)[first], stake=2.0), binary(np.eye(4)[second])])
        expected += good[first] * bad[second] * math.exp(log_wealth(ledger, (1.0, -0.95), level=LEVEL)[0])
    assert expected > 1.001


counts = st.lists(st.integers(0, 40), min_size=4, max_size=4)


@given(counts, st.sampled_from([0.5, 0.9, 0.95, 1.0, 1.2]), st.sampled_from([0.1, 0.25, 0.5]), st.sampled_from([1, -1]))
def test_it_is_the_mixture_of_the_products(found, margin, baseline, side):
    ledger = binary(found, baseline=baseline)
    z = side * z_of(margin, baseline)
    shares, log_weights = bets(500.0, LEVEL)
    limit = -min(z)
    expected = sum(
        math.exp(w) * math.prod((1 + f * x / limit) ** n for x, n in zip(z, found, strict=True))
        for f, w in zip(shares, log_weights, strict=True)
    )
    got = log_wealth(ledger, (side, -side * margin), level=LEVEL)[0]
    assert got == pytest.approx(math.log(expected), rel=1e-9, abs=1e-9)


def test_no_number_of_samples_overflows():
    million = [[600_000, 0, 200_000, 200_000], [600_000, 200_000, 0, 200_000]]
    log = log_wealth(binary(million, planned=1_000_000), (1.0, -0.95), level=LEVEL)
    assert log[0] > 50_000
    assert -50_000 < log[1] < -100


def test_scores_that_never_repeat_are_taken_in_pieces():
    rng = np.random.default_rng(3)
    x, y = rng.random((2, 70_000)) - 0.25  # more than one piece
    ledger = Ledger(x, y, np.ones((1, x.size)), np.array([[-0.25, 0.75, -0.25, 0.75]]), np.array([float(x.size)]))
    shares, log_weights = bets(float(x.size), LEVEL)
    z = x - 0.95 * y
    grown = [np.log1p(f * z / (0.25 + 0.95 * 0.75)).sum() + w for f, w in zip(shares, log_weights, strict=True)]
    assert log_wealth(ledger, (1.0, -0.95), level=LEVEL)[0] == pytest.approx(np.logaddexp.reduce(grown))


def test_what_the_hypothesis_rules_out_makes_the_wealth_infinite():
    # At b = 0 "the teacher is not above 0" allows no right answer at all.
    never, once = [0, 0, 5, 5], [0, 1, 5, 4]
    assert log_wealth(binary([never, once], baseline=0.0), (0.0, 1.0), level=LEVEL).tolist() == [0.0, math.inf]


def test_the_worst_of_samples_leaves_something():
    log = log_wealth(binary([0, 1, 0, 0]), (1.0, -0.95), level=LEVEL)[0]
    assert math.log(0.02) < log < 0


@given(st.floats(0.01, 1e9), st.floats(1e-6, 0.5))
def test_bets_are_a_prior_over_shares_that_cannot_be_bankrupted(capacity, level):
    shares, log_weights = bets(capacity, level)
    assert np.exp(log_weights).sum() == pytest.approx(1.0)
    assert ((shares > 0) & (shares < 1)).all()
    assert (np.diff(shares) > 0).all()


def test_more_samples_to_come_allow_smaller_bets():
    assert bets(14_042.0, LEVEL)[0][0] < bets(745.0, LEVEL)[0][0] < bets(30.0, LEVEL)[0][0] == 0.5
