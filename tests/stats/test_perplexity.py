import math

import numpy as np
import pytest

from distbench.stats import (
    Status,
    Verdict,
    bits_per_byte,
    byte_perplexity_ratio,
    decide,
    delta_bits_per_byte,
    fieller,
    perplexity,
)

LIKELIHOOD, BYTES, WORDS, TOKENS = [-30.2, -12.9, -55.1], [40, 21, 70], [7, 4, 13], [10, 5, 17]


def test_known_corpus_values():
    # lm-eval's bits_per_byte and weighted_perplexity aggregation.
    assert bits_per_byte(LIKELIHOOD, BYTES) == pytest.approx(1.0814706337045512, abs=1e-12)
    assert perplexity(LIKELIHOOD, BYTES) == pytest.approx(2.1161921555209298, abs=1e-12)
    assert perplexity(LIKELIHOOD, WORDS) == pytest.approx(59.83954120850541, abs=1e-11)
    assert perplexity(LIKELIHOOD, TOKENS) == pytest.approx(21.514992119259983, abs=1e-11)


def test_a_ratio_of_sums_not_a_mean_of_ratios():
    assert bits_per_byte([-1.0, -100.0], [1, 1000]) == pytest.approx(101 / 1001 / math.log(2))


def test_beyond_a_double_is_infinite():
    assert perplexity([-1e6], [1]) == math.inf


def test_delta_is_oriented_and_has_fiellers_interval():
    rng = np.random.default_rng(4)
    size = rng.integers(100, 2000, 150)
    teacher = -0.7 * size + rng.normal(0, 5, 150)
    student = teacher - 0.02 * size + rng.normal(0, 3, 150)
    estimate = delta_bits_per_byte(student, teacher, size)
    expected = bits_per_byte(teacher, size) - bits_per_byte(student, size)
    assert estimate.value == pytest.approx(expected)
    assert estimate.value < 0
    limits = fieller((student - teacher) / math.log(2), size)
    assert (estimate.lo, estimate.hi) == (limits.lo, limits.hi)
    assert decide(estimate, -0.05).verdict is Verdict.PASS
    assert decide(estimate, -0.01).verdict is Verdict.FAIL
    ratio = byte_perplexity_ratio(student, teacher, size)
    assert ratio.value == pytest.approx(perplexity(teacher, size) / perplexity(student, size))
    assert (ratio.lo, ratio.hi) == pytest.approx((2**estimate.lo, 2**estimate.hi))
    clustered = delta_bits_per_byte(student, teacher, size, clusters=np.arange(150) // 5)
    assert clustered.method == "fieller_cluster"


def test_equal_likelihoods_show_no_spread():
    estimate = delta_bits_per_byte(LIKELIHOOD, LIKELIHOOD, [40, 42, 44])
    assert (estimate.value, estimate.lo, estimate.status) == (0.0, None, Status.NO_INTERVAL)
    assert byte_perplexity_ratio(LIKELIHOOD, LIKELIHOOD, BYTES).value == 1.0


def test_too_few_documents_have_a_value_but_no_interval():
    estimate = delta_bits_per_byte([-31.0, -13.0, -55.0], LIKELIHOOD, BYTES)
    assert estimate.value == pytest.approx(-0.8 / 131 / math.log(2))
    assert (estimate.lo, estimate.status) == (None, Status.NO_INTERVAL)


@pytest.mark.parametrize("units", [[0, 0, 0], [-1, 5, 5]])
def test_bad_counts_are_refused(units):
    with pytest.raises(ValueError, match="units"):
        bits_per_byte(LIKELIHOOD, units)
    with pytest.raises(ValueError, match="units"):
        delta_bits_per_byte(LIKELIHOOD, LIKELIHOOD, units)
