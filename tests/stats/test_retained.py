import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from distbench.stats import (
    Cells,
    Status,
    fieller,
    identical,
    margin_test,
    retained,
    retained_from_cells,
    retained_from_means,
    retained_ratio_of_sums,
    retained_raw,
    score_interval,
)

from .strategies import baselines, score_pairs, tables


def test_binary_scores_get_the_score_interval():
    cells = Cells(660, 45, 30, 265)
    estimate = retained(*cells.scores(), baseline=0.25)
    # Score test inversion of the shared test vectors (gate_inconclusive).
    assert estimate.value == pytest.approx(0.967032967032967)
    assert (estimate.lo, estimate.hi) == pytest.approx((0.9292719286901027, 1.0045321777158327), abs=1e-5)
    assert (estimate.method, estimate.status, estimate.n) == ("score_cml", Status.OK, 1000)


def test_other_scores_get_fieller():
    s, t = [0.5, 0.9, 0.4, 0.7, 0.6], [0.6, 0.8, 0.5, 0.9, 0.6]
    estimate = retained(s, t, baseline=0.1)
    limits = fieller(np.array(s) - 0.1, np.array(t) - 0.1)
    assert (estimate.lo, estimate.hi, estimate.method) == (limits.lo, limits.hi, "fieller_t")
    assert estimate.df == 4


def test_clusters_get_cluster_robust_fieller():
    rng = np.random.default_rng(3)
    s, t = (rng.random(60) < 0.7).astype(float), (rng.random(60) < 0.9).astype(float)
    estimate = retained(s, t, clusters=np.repeat(np.arange(12), 5))
    assert (estimate.method, estimate.df, estimate.n_clusters) == ("fieller_cluster", 11, 12)


def test_the_kind_can_be_forced():
    s, t = Cells(136, 9, 5, 50).scores()
    assert retained(s, t, binary=False).method == "fieller_t"
    with pytest.raises(ValueError, match="0 or 1"):
        retained([0.5, 1.0], [1.0, 1.0], binary=True)


@settings(max_examples=50)
@given(tables, baselines, st.randoms(use_true_random=False))
def test_order_of_samples_does_not_matter(cells, baseline, random):
    assume(cells.n < 300)
    s, t = cells.scores()
    order = list(range(s.size))
    random.shuffle(order)
    assert retained(s[order], t[order], baseline=baseline) == retained(s, t, baseline=baseline)


@given(score_pairs())
def test_lower_is_better_is_the_mirror_image(pair):
    s, t = pair
    up = retained(s, t, baseline=0.1)
    down = retained(-s, -t, baseline=-0.1, higher_is_better=False)
    assert (down.value, down.lo, down.hi, down.status) == (up.value, up.lo, up.hi, up.status)


def test_binary_errors_are_the_mirror_image_of_binary_successes():
    s, t = Cells(70, 8, 5, 17).scores()
    up = retained(s, t, baseline=0.25)
    down = retained(1 - s, 1 - t, baseline=0.75, higher_is_better=False)
    assert down == up


@given(score_pairs(min_size=6))
def test_clusters_of_one_equal_independent_samples(pair):
    plain = retained(*pair)
    single = retained(*pair, clusters=range(pair[0].size))
    assert (single.value, single.lo, single.hi) == pytest.approx((plain.value, plain.lo, plain.hi))
    assert single.method == "fieller_cluster"


@settings(max_examples=50)
@given(tables, baselines, st.floats(0.5, 1.2))
def test_interval_and_test_agree(cells, baseline, margin):
    assume(cells.n < 500)
    s, t = cells.scores()
    estimate = retained(s, t, baseline=baseline)
    assume(estimate.lo is not None)
    assume(min(abs(margin - estimate.lo), abs(margin - estimate.hi)) > 1e-7)
    test = margin_test(s, t, margin=margin, baseline=baseline)
    assert (test.p_above <= 0.025) == (estimate.lo > margin)
    assert (test.p_below <= 0.025) == (estimate.hi < margin)


def test_never_clipped():
    above = retained_from_cells(Cells(60, 0, 30, 10))
    assert above.value == pytest.approx(1.5)
    below = retained_from_cells(Cells(5, 75, 5, 15), baseline=0.25)
    assert below.value < 0
    assert below.lo < below.value < below.hi < 0.25
    assert retained_from_means(0.2, 0.5, baseline=0.25).value == pytest.approx(-0.2)


@pytest.mark.parametrize(
    ("student", "teacher", "baseline"),
    [
        ([0, 0, 1, 1, 0, 0, 0, 1], [1, 0, 0, 1, 0, 0, 0, 1], 0.25),  # above, but not significantly
        ([1, 1, 1, 1], [0, 0, 0, 1], 0.25),
        ([1, 1, 1, 1], [0, 0, 0, 0], 0.0),
        ([0.2, 0.3, 0.4], [0.1, 0.2, 0.3], 0.25),
    ],
)
@pytest.mark.parametrize("binary", [None, False])
def test_a_teacher_not_above_the_baseline_has_nothing_to_retain(student, teacher, baseline, binary):
    estimate = retained(student, teacher, baseline=baseline, binary=binary)
    assert (estimate.value, estimate.lo, estimate.hi) == (None, None, None)
    assert estimate.status is Status.NO_SIGNAL
    assert "baseline" in estimate.reason


def test_the_wrong_direction_never_passes_unseen():
    rng = np.random.default_rng(1)
    wer = rng.uniform(0.05, 0.12, 200)
    assert retained(wer * 1.1, wer, baseline=1.0).status is Status.NO_SIGNAL
    assert retained(wer * 1.1, wer, baseline=1.0, higher_is_better=False).value == pytest.approx(0.99, abs=0.005)


@pytest.mark.parametrize("binary", [None, False])
def test_one_sample_has_no_interval(binary):
    estimate = retained([1.0], [1.0], binary=binary)
    assert (estimate.value, estimate.lo, estimate.hi) == (1.0, None, None)
    assert estimate.status is Status.NO_INTERVAL


def test_one_cluster_has_no_interval():
    estimate = retained([1.0, 0.0, 1.0], [1.0, 1.0, 1.0], clusters=["a", "a", "a"])
    assert (estimate.lo, estimate.status) == (None, Status.NO_INTERVAL)


def test_identical_outputs_are_exactly_one():
    estimate = identical(50)
    assert (estimate.value, estimate.lo, estimate.hi, estimate.n) == (1.0, 1.0, 1.0, 50)
    assert estimate.method == "identical"


def test_equal_correctness_is_not_identity():
    s, _ = Cells(80, 0, 0, 20).scores()
    plain = retained(s, s)
    assert plain.lo < 0.96
    assert plain.hi > 1.04
    clustered = retained(s, s, clusters=np.arange(100) // 5)
    assert clustered.method == "score_cluster_bound"
    bound = score_interval(Cells(16, 0, 0, 4))
    assert (clustered.lo, clustered.hi) == pytest.approx((bound.lo, bound.hi))
    assert retained(s * 0.5, s * 0.5).status is Status.NO_INTERVAL


def test_equal_correctness_in_too_few_clusters_has_no_interval():
    s = np.repeat([1.0, 0.0, 1.0], [45, 40, 15])
    estimate = retained(s, s, baseline=0.4, clusters=np.tile(np.arange(5), 20))
    assert (estimate.value, estimate.lo, estimate.status) == (1.0, None, Status.NO_INTERVAL)


def test_raw_is_retention_without_a_baseline():
    s, t = Cells(136, 9, 5, 50).scores()
    assert retained_raw(s, t) == retained(s, t, baseline=0.0)
    assert retained_raw([0.0, 0.0], [0.0, 0.0]).value is None


def test_known_published_word_error_rates():
    # Distil-Whisper short form 8.4 -> 9.7 % WER: 98.6 % of word accuracy, 86.6 % as t/s.
    estimate = retained_from_means(0.097, 0.084, baseline=1.0, higher_is_better=False)
    assert estimate.value == pytest.approx(0.9858078602620087, abs=1e-12)
    assert (estimate.lo, estimate.status) == (None, Status.NO_INTERVAL)
    assert retained_from_means(0.3, 0.22, baseline=0.25).status is Status.NO_SIGNAL


def test_ratio_of_sums_weighs_utterances_by_words():
    errors_t, errors_s, words = [1, 0, 2, 1], [2, 0, 2, 3], [10, 5, 20, 15]
    estimate = retained_ratio_of_sums(errors_s, errors_t, words, baseline=1.0, higher_is_better=False)
    wer_s, wer_t = 7 / 50, 4 / 50
    assert estimate.value == pytest.approx((1 - wer_s) / (1 - wer_t))
    assert estimate.lo < estimate.value < estimate.hi
    same = retained([0.3, 0.5, 0.2], [0.6, 0.5, 0.3], baseline=0.1)
    assert retained_ratio_of_sums([0.3, 0.5, 0.2], [0.6, 0.5, 0.3], [1, 1, 1], baseline=0.1).lo == pytest.approx(
        same.lo
    )
    with pytest.raises(ValueError, match="weights"):
        retained_ratio_of_sums([1], [1], [0], baseline=0.0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"student": [], "teacher": []}, "empty"),
        ({"student": [1, 0], "teacher": [1]}, "length"),
        ({"student": [1, math.nan], "teacher": [1, 1]}, "nan"),
        ({"student": [1, 0], "teacher": [1, 1], "alpha": 0}, "alpha"),
        ({"student": [1, 0], "teacher": [1, 1], "baseline": math.nan}, "baseline"),
        ({"student": [1, 0], "teacher": [1, 1], "clusters": ["a"]}, "labels"),
        ({"student": [1, 0], "teacher": [1, 1], "clusters": ["a", None]}, "missing"),
    ],
)
def test_bad_input_is_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        retained(**arguments)


@pytest.mark.parametrize("arguments", [(math.nan, 0.5), (0.5, math.inf)])
def test_bad_means_are_refused(arguments):
    with pytest.raises(ValueError, match="finite"):
        retained_from_means(*arguments)
