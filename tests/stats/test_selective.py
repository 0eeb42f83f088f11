import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distbench.stats import accuracy_at_coverage, aurc, confidence_auroc, risk_at_coverage

CONFIDENCE = [0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.55, 0.5]
CORRECT = [1, 1, 0, 1, 1, 0, 0, 1]

samples = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=1, max_size=40)


def test_known_curve():
    # Closed form (Geifman & El-Yaniv 2017); scikit-learn 1.9.1 roc_auc_score.
    assert risk_at_coverage(CONFIDENCE, CORRECT) == pytest.approx([0, 0, 1 / 3, 1 / 4, 1 / 5, 1 / 3, 3 / 7, 3 / 8])
    assert aurc(CONFIDENCE, CORRECT) == pytest.approx(0.2400297619047619, abs=1e-12)
    assert accuracy_at_coverage(CONFIDENCE, CORRECT, coverage=0.5) == 0.75
    assert confidence_auroc(CONFIDENCE, CORRECT) == pytest.approx(2 / 3)


@given(samples, st.randoms(use_true_random=False))
def test_ties_do_not_depend_on_order(pairs, random):
    confidence, correct = np.array(pairs).T
    order = list(range(len(pairs)))
    random.shuffle(order)
    assert risk_at_coverage(confidence[order], correct[order]) == pytest.approx(risk_at_coverage(confidence, correct))


@given(samples)
def test_full_coverage_is_the_error_rate(pairs):
    confidence, correct = np.array(pairs).T
    assert risk_at_coverage(confidence, correct)[-1] == pytest.approx(1 - correct.mean())
    assert accuracy_at_coverage(confidence, correct, coverage=1.0) == pytest.approx(correct.mean())


def test_coverage_is_rounded_up_but_not_by_floating_point():
    correct = [1] * 7 + [0] * 93
    assert accuracy_at_coverage(range(100, 0, -1), correct, coverage=0.07) == 1.0
    assert accuracy_at_coverage([2, 1, 0], [1, 0, 0], coverage=0.01) == 1.0


def test_without_both_outcomes_there_is_no_auroc():
    assert confidence_auroc([0.1, 0.2], [1, 1]) is None


@pytest.mark.parametrize("coverage", [0.0, 1.1, float("nan")])
def test_bad_coverage_is_refused(coverage):
    with pytest.raises(ValueError, match="coverage"):
        accuracy_at_coverage(CONFIDENCE, CORRECT, coverage=coverage)


@pytest.mark.parametrize("measure", [risk_at_coverage, confidence_auroc])
def test_correct_is_right_or_wrong(measure):
    with pytest.raises(ValueError, match="0 or 1"):
        measure([0.5], [0.5])
