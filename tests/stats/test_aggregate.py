import numpy as np
import pytest

from distbench.stats import mean_win_rates, normalised_scores, relative_degradation, summarise_ratios

# DistilBERT-base-uncased / BERT-base-uncased on GLUE dev, arXiv 1910.01108 table 1:
# CoLA, MNLI, MRPC, QNLI, QQP, RTE, SST-2, STS-B, WNLI.
TEACHER = [56.3, 84.7, 88.6, 91.8, 89.6, 69.3, 92.7, 89.0, 53.5]
STUDENT = [51.3, 82.1, 87.5, 89.2, 88.5, 59.9, 91.3, 86.9, 56.3]


def test_known_published_averages():
    summary = summarise_ratios(STUDENT, TEACHER)
    assert summary.ratio_of_means == pytest.approx(0.9685534591194969, abs=1e-12)
    assert summary.mean_of_ratios == pytest.approx(0.9672750252958223, abs=1e-12)
    assert summary.geometric_mean == pytest.approx(0.9659691960649776, abs=1e-12)
    assert summary.median == pytest.approx(0.9764044943820225, abs=1e-12)
    assert (summary.worst, summary.worst_index) == (pytest.approx(0.8643578643578643, abs=1e-12), 5)


def test_chance_correction_tells_another_story():
    picked = [0, 3, 5, 6, 7, 8]  # the tasks whose baseline is known
    baseline = [0.0, 50.5, 52.7, 50.9, 0.0, 56.3]
    student, teacher = ([scores[k] for k in picked] for scores in (STUDENT, TEACHER))
    summary = summarise_ratios(student, teacher, baseline=baseline, best=np.array(baseline) + 100)
    assert summary.ratio_of_means == pytest.approx(0.9163265306122449, abs=1e-12)
    assert summary.worst == pytest.approx(0.43373493975903604, abs=1e-12)  # RTE: 86 % raw
    assert summary.left_out == (5,)  # WNLI: the teacher is below the majority class
    assert summary.ratios[5] is None


def test_weights_and_scales():
    summary = summarise_ratios([0.5, 8.0], [1.0, 10.0], best=[1.0, 10.0], weights=[3.0, 1.0])
    assert summary.ratio_of_means == pytest.approx((3 * 0.5 + 0.8) / (3 * 1.0 + 1.0))
    errors = summarise_ratios([0.2], [0.1], baseline=1.0, best=0.0)
    assert errors.ratio_of_means == pytest.approx(0.8 / 0.9)


def test_nothing_to_average():
    summary = summarise_ratios([0.3], [0.2], baseline=0.25)
    assert (summary.ratio_of_means, summary.worst, summary.left_out) == (None, None, (0,))
    assert summarise_ratios([-0.1], [0.5]).geometric_mean is None


@pytest.mark.parametrize(
    "wrong", [{"weights": [0.0, 1.0]}, {"best": 0.0}, {"baseline": float("nan")}, {"weights": float("inf")}]
)
def test_bad_summaries_are_refused(wrong):
    with pytest.raises(ValueError, match=r"every|finite"):
        summarise_ratios([1.0, 1.0], [1.0, 1.0], **wrong)


def test_known_normalised_scores():
    # Open LLM Leaderboard v2: subtask by subtask, then the mean (MuSR).
    scores = normalised_scores([0.7, 0.4, 0.6], [0.5, 0.2, 0.333], clip=True)
    assert scores.mean() == pytest.approx(35.00999500249875, abs=1e-9)


def test_clipping_is_a_choice():
    assert normalised_scores([0.1], 0.25).tolist() == pytest.approx([-20.0])
    assert normalised_scores([0.1], 0.25, clip=True).tolist() == [0.0]
    with pytest.raises(ValueError, match="differ"):
        normalised_scores([0.1], 1.0)


def test_relative_degradation():
    assert relative_degradation(0.097, 0.084, higher_is_better=False) == pytest.approx(0.15476190476190466)
    assert relative_degradation(0.9, 1.0) == pytest.approx(0.1)
    assert relative_degradation(0.9, 0.0) is None


def test_known_win_rates():
    rates, mean = mean_win_rates([[0.9, 0.8, 0.8], [0.5, 0.6, 0.5]])
    assert rates.tolist() == [[1.0, 0.25, 0.25], [0.25, 1.0, 0.25]]
    assert mean.tolist() == [0.625, 0.625, 0.25]
    with pytest.raises(ValueError, match="two models"):
        mean_win_rates([[1.0]])
