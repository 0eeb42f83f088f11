import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import brier_score_loss, log_loss

from distbench.stats import (
    adaptive_calibration_error,
    brier,
    expected_calibration_error,
    label_losses,
    negative_log_likelihood,
)

PROBABILITY = [0.95, 0.85, 0.75, 0.65, 0.55, 0.92, 0.81, 0.73, 0.62, 0.58]
LABEL = [1, 1, 0, 1, 0, 1, 1, 1, 0, 1]


@st.composite
def predictions(draw):
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    n = draw(st.integers(2, 80))
    p = np.round(rng.random(n), draw(st.integers(1, 3)))  # coarse: many ties and bin edges
    return p, (rng.random(n) < p).astype(int)


def test_known_brier_and_nll():
    # scikit-learn 1.9.1 brier_score_loss and log_loss.
    assert brier(PROBABILITY, LABEL) == pytest.approx(0.16887)
    table = [[0.7, 0.2, 0.1], [0.1, 0.8, 0.1], [0.3, 0.3, 0.4]]
    assert negative_log_likelihood(table, [0, 1, 1]) == pytest.approx(0.594597099859626)
    assert negative_log_likelihood(table, [0, 1, 1]) == pytest.approx(log_loss([0, 1, 1], table, labels=[0, 1, 2]))
    assert brier(table, [0, 1, 1]) == pytest.approx(brier_score_loss([0, 1, 1], table, labels=[0, 1, 2]))


def test_two_columns_equal_one():
    table = np.column_stack([1 - np.array(PROBABILITY), PROBABILITY])
    assert brier(table, LABEL) == pytest.approx(brier(PROBABILITY, LABEL))
    assert label_losses(table, LABEL) == pytest.approx(label_losses(PROBABILITY, LABEL))


def test_a_label_without_probability_is_infinite():
    assert negative_log_likelihood([0.0, 0.5], [1, 0]) == math.inf


def test_calibration_error_by_hand():
    gap = abs(np.mean(LABEL) - np.mean(PROBABILITY))
    assert expected_calibration_error(PROBABILITY, LABEL, n_bins=1) == pytest.approx(gap)
    assert adaptive_calibration_error(PROBABILITY, LABEL, n_bins=1) == pytest.approx(gap)
    # Bins of 0.1 by hand, from (0.5, 0.6] up: right answers less confidence.
    expected = (abs(1 - 1.13) + abs(1 - 1.27) + abs(1 - 1.48) + abs(2 - 1.66) + abs(2 - 1.87)) / 10
    assert expected_calibration_error(PROBABILITY, LABEL, n_bins=10) == pytest.approx(expected)


def test_a_confidence_on_an_edge_belongs_to_the_bin_below():
    # 0.8 = 12/15 and 0.07 = 7/100 are edges; floating point must not push them up.
    for edge, n_bins in ((0.8, 15), (0.07, 100), (0.6, 15), (1.0, 15), (0.0, 15)):
        together = expected_calibration_error([edge, max(0.0, edge - 1e-4)], [1, 0], n_bins=n_bins)
        assert together == pytest.approx(abs(1 - 2 * edge) / 2, abs=1e-3)


@given(predictions(), st.integers(1, 30), st.randoms(use_true_random=False))
def test_order_does_not_matter(prediction, n_bins, random):
    p, y = prediction
    order = list(range(p.size))
    random.shuffle(order)
    for measure in (expected_calibration_error, adaptive_calibration_error):
        assert measure(p[order], y[order], n_bins=n_bins) == pytest.approx(measure(p, y, n_bins=n_bins))
        assert 0 <= measure(p, y, n_bins=n_bins) <= 1


def test_perfect_confidence_is_calibrated():
    assert expected_calibration_error([1.0, 0.0, 1.0], [1, 0, 1]) == 0
    assert adaptive_calibration_error([[0.0, 1.0], [1.0, 0.0]], [1, 0]) == 0


@pytest.mark.parametrize(
    ("p", "y", "said"),
    [
        ([], [], "shape"),
        ([0.5], [1, 0], "2 labels for 1"),
        ([1.2], [1], r"\[0, 1\]"),
        ([math.nan], [1], r"\[0, 1\]"),
        ([0.5], [2], "whole numbers"),
        ([0.5], [0.5], "whole numbers"),
        ([[0.5, 0.2]], [0], "sum to 1"),
    ],
)
def test_bad_predictions_are_refused(p, y, said):
    with pytest.raises(ValueError, match=said):
        brier(p, y)


def test_bins_are_needed():
    with pytest.raises(ValueError, match="n_bins"):
        expected_calibration_error([0.5], [1], n_bins=0)
