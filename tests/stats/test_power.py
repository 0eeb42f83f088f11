import math

import numpy as np
import pytest

from distbench.stats import (
    Cells,
    SamplePlan,
    Verdict,
    decide,
    planned_cells,
    retained_from_cells,
    sample_size,
    sampled_variance,
    samples_to_decide,
    samples_to_decide_cells,
    undecided_text,
)

OPEN = Cells(660, 45, 30, 265)


def test_known_extra_samples():
    # Closed form from the observed mean and variance of the contrast (shared test vectors).
    plan = samples_to_decide_cells(OPEN, margin=0.95, baseline=0.25)
    assert plan == SamplePlan(9390, 8390, "PASS")


def test_scores_and_cells_agree():
    assert samples_to_decide(*OPEN.scores(), margin=0.95, baseline=0.25) == SamplePlan(9390, 8390, "PASS")


def test_known_miller_sample_size():
    # Miller 2024: (z_{a/2} + z_b)^2 (omega^2 + ...)/delta^2, about 969.
    assert sample_size(sampled_variance(1 / 9), 0.03) == pytest.approx(968.9974980677886)


def test_resampling_answers_lowers_the_variance():
    assert sampled_variance(0.1, 0.2, 0.2, k_a=10, k_b=10) == pytest.approx(0.14)
    with pytest.raises(ValueError, match="answer"):
        sampled_variance(0.1, k_a=0)


@pytest.mark.parametrize(
    ("discordance", "true", "n"),
    # Teacher .70, b .25, m .95, 80 % power: the planning table of the metric definitions.
    [(0.05, 1.0, 745), (0.20, 0.99, 4618)],
)
def test_known_planning(discordance, true, n):
    shares = planned_cells(0.7, discordance, retained=true, baseline=0.25)
    assert samples_to_decide_cells(shares, margin=0.95, baseline=0.25).n_total == pytest.approx(n, abs=1)


def test_an_impossible_plan_is_refused():
    with pytest.raises(ValueError, match="cells"):
        planned_cells(0.7, 0.01, retained=0.8)


def test_planned_samples_do_decide_about_as_often_as_planned():
    shares = planned_cells(0.7, 0.1, retained=1.0, baseline=0.25)
    n = samples_to_decide_cells(shares, margin=0.95, baseline=0.25).n_total
    draws = np.random.default_rng(2).multinomial(n, shares.counts, size=200)
    passes = sum(
        decide(retained_from_cells(Cells(*counts), baseline=0.25), 0.95).verdict is Verdict.PASS
        for counts in draws.tolist()
    )
    assert 0.7 <= passes / 200 <= 0.9


def test_a_hopeless_student_is_expected_to_fail():
    plan = samples_to_decide_cells(Cells(500, 200, 20, 280), margin=0.95, baseline=0.25)
    assert (plan.direction, plan.n_extra) == ("FAIL", 0)


def test_clusters_ask_for_more():
    s = np.repeat([1.0, 0.0, 1.0, 1.0, 1.0, 0.0, 1.0, 1.0], 5)
    t = np.repeat([1.0, 1.0, 1.0, 1.0, 0.0, 0.0, 1.0, 1.0], 5)
    plain = samples_to_decide(s, t, margin=0.9)
    clustered = samples_to_decide(s, t, margin=0.9, clusters=np.arange(40) // 5)
    assert clustered.n_total == pytest.approx(5 * plain.n_total, abs=5)


def test_exactly_on_the_margin_nothing_decides():
    on = Cells(90, 10, 0, 0)
    assert samples_to_decide_cells(on, margin=0.9) == SamplePlan(None, None, None)
    assert sample_size(1.0, 0.0) == math.inf


def test_texts():
    estimate = retained_from_cells(OPEN, baseline=0.25)
    plan = samples_to_decide_cells(OPEN, margin=0.95, baseline=0.25)
    assert undecided_text(estimate, 0.95, plan) == "about 9,390 samples would decide (8,390 more; expect PASS)"
    limited = undecided_text(estimate, 0.95, plan, available=1000)
    assert limited == "this data set cannot decide at 0.95; the smallest decidable margin is 0.9293"
    alone = retained_from_cells(Cells(1, 0, 0, 0))
    assert undecided_text(alone, 0.95, SamplePlan(None, None, None)) == "this data set cannot decide at 0.95"


@pytest.mark.parametrize("wrong", [{"power": 1.0}, {"alpha": 0.0}])
def test_bad_power_is_refused(wrong):
    with pytest.raises(ValueError, match=r"power|alpha"):
        sample_size(1.0, 0.1, **wrong)


def test_one_sample_cannot_plan():
    with pytest.raises(ValueError, match="two"):
        samples_to_decide([1.0], [1.0], margin=0.9)
