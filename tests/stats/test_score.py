import math
import time

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from distbench.stats import Cells, Interval, has_signal, planned_cells, score_interval, score_statistic
from distbench.stats.score import constrained_probabilities, score_contrasts

from .strategies import baselines, margins, tables

Z95 = float(stats.norm.ppf(0.975))


@pytest.mark.parametrize(
    ("counts", "lo", "hi"),
    [
        # statsmodels 0.15.0 proportion._confint_riskratio_paired_nam (Nam 2009), b = 0.
        ((400, 30, 18, 52), 0.9394711799801515, 1.0038764741605497),
        ((80, 6, 3, 11), 0.8853765898437131, 1.0419353364543325),
        ((136, 9, 5, 50), 0.9157993623004108, 1.0267740888978318),
    ],
)
def test_known_intervals(counts, lo, hi):
    limits = score_interval(Cells(*counts))
    assert limits.lo == pytest.approx(lo, abs=1e-6)
    assert limits.hi == pytest.approx(hi, abs=1e-6)


@pytest.mark.parametrize(
    ("counts", "baseline", "margin", "z"),
    [
        # Constrained maximum likelihood cross-checked with scipy's SLSQP.
        ((400, 30, 18, 52), 0.25, 0.90, 2.5430386543058083),
        ((700, 20, 15, 265), 0.50, 0.95, 1.0056025937792339),
        ((600, 110, 20, 270), 0.25, 0.95, -6.30612196736355),
    ],
)
def test_known_statistics(counts, baseline, margin, z):
    assert score_statistic(Cells(*counts), margin=margin, baseline=baseline) == pytest.approx(z, abs=1e-9)


def test_equal_correctness_is_not_equal_models():
    limits = score_interval(Cells(80, 0, 0, 20))
    assert (round(limits.lo, 3), round(limits.hi, 3)) == (0.954, 1.048)


@given(tables, baselines, margins)
def test_constrained_probabilities_are_a_distribution_under_the_hypothesis(cells, baseline, margin):
    p = constrained_probabilities(cells, margin=margin, baseline=baseline)
    assume(p is not None)
    assert min(p) >= 0
    assert sum(p) == pytest.approx(1, abs=1e-9)
    assert np.dot(p, score_contrasts(margin, baseline)) == pytest.approx(0, abs=1e-9)


@given(tables, baselines, margins, st.integers(0, 100))
def test_no_other_distribution_under_the_hypothesis_is_likelier(cells, baseline, margin, seed):
    p = constrained_probabilities(cells, margin=margin, baseline=baseline)
    assume(p is not None)
    z = np.array(score_contrasts(margin, baseline))
    # Any mixture with a feasible rival must not gain likelihood.
    rival = np.random.default_rng(seed).dirichlet(np.ones(4))
    assume(np.ptp(z) > 1e-6)
    pull = rival @ z
    corner = np.zeros(4)
    corner[int(np.argmin(z) if pull > 0 else np.argmax(z))] = 1.0
    weight = pull / (pull - corner @ z)
    rival = (1 - weight) * rival + weight * corner
    n = np.array(cells.counts)
    seen = n > 0
    with np.errstate(divide="ignore"):
        best, other = (float(n[seen] @ np.log(np.array(q)[seen])) for q in (p, 0.999 * np.array(p) + 0.001 * rival))
    assert other <= best + 1e-7 * cells.n


@settings(max_examples=60)
@given(tables, baselines)
def test_the_interval_contains_the_estimate(cells, baseline):
    assume(has_signal(cells, baseline=baseline))
    ratio = (cells.student_rate - baseline) / (cells.teacher_rate - baseline)
    limits = score_interval(cells, baseline=baseline)
    assert limits.bounded
    assert limits.lo <= ratio + 1e-9
    assert limits.hi >= ratio - 1e-9


@settings(max_examples=60)
@given(tables, baselines, margins)
def test_the_interval_decides_as_the_statistic_does(cells, baseline, margin):
    assume(has_signal(cells, baseline=baseline))
    limits = score_interval(cells, baseline=baseline)
    assume(min(abs(margin - limits.lo), abs(margin - limits.hi)) > 1e-8)
    inside = abs(score_statistic(cells, margin=margin, baseline=baseline)) <= Z95
    assert limits.contains(margin) == inside


@settings(max_examples=40)
@given(tables, baselines)
def test_more_confidence_is_wider(cells, baseline):
    assume(has_signal(cells, baseline=baseline, alpha=0.01))
    wide, narrow = (score_interval(cells, baseline=baseline, alpha=alpha) for alpha in (0.01, 0.2))
    assert wide.lo <= narrow.lo + 1e-9
    assert narrow.hi <= wide.hi + 1e-9


@given(tables, margins)
def test_scaling_the_contrast_does_not_matter(cells, margin):
    # With s and t exchanged and m → 1/m the contrast only changes sign and scale.
    assume(margin > 0.05)
    exchanged = Cells(cells.n11, cells.n01, cells.n10, cells.n00)
    z, back = score_statistic(cells, margin=margin), score_statistic(exchanged, margin=1 / margin)
    assert back == pytest.approx(-z, abs=1e-6, rel=1e-6)


@pytest.mark.parametrize("counts", [(2, 0, 0, 0), (0, 2, 0, 0), (1, 0, 0, 1), (1, 1, 0, 0), (0, 0, 0, 2), (0, 0, 2, 0)])
@pytest.mark.parametrize("baseline", [0.0, 0.5])
@pytest.mark.parametrize("margin", [-1.0, 0.0, 2e-311, 1e-90, 0.9, 1.0, 1.0 + 1e-15, 3.0, 1e9, 1e300])
def test_tiny_tables_give_no_nan(counts, baseline, margin):
    assert not math.isnan(score_statistic(Cells(*counts), margin=margin, baseline=baseline))
    limits = score_interval(Cells(*counts), baseline=baseline)
    assert limits.lo <= limits.hi


def test_a_student_that_is_never_right_retains_nothing():
    limits = score_interval(Cells(0, 10, 0, 10))
    assert limits.lo == pytest.approx(0.0, abs=1e-9)
    assert 0.2 < limits.hi < 0.5
    assert score_statistic(Cells(0, 10, 0, 10), margin=0.0) == 0.0
    assert score_statistic(Cells(5, 5, 0, 10), margin=0.0) == math.inf


def test_without_signal_the_interval_is_everything():
    chance = Cells(15, 10, 10, 65)
    assert not has_signal(chance, baseline=0.25)
    assert score_interval(chance, baseline=0.25) == Interval(-math.inf, math.inf)
    assert not has_signal(Cells(10, 0, 0, 0), baseline=1.0)
    assert not has_signal(Cells(0, 0, 5, 5), baseline=0.0)


@given(tables, baselines)
def test_signal_is_the_limit_of_the_score_test(cells, baseline):
    assume(0 < baseline < 1)
    far = score_statistic(cells, margin=1e7, baseline=baseline)
    assume(abs(abs(far) - Z95) > 1e-3)
    assert has_signal(cells, baseline=baseline) == (far < -Z95)


@pytest.mark.parametrize("wrong", [{"margin": math.nan}, {"margin": math.inf}, {"margin": 0.9, "baseline": math.nan}])
def test_bad_margins_are_refused(wrong):
    with pytest.raises(ValueError, match="finite"):
        score_statistic(Cells(8, 1, 1, 2), **wrong)


def test_fast_at_the_size_of_a_large_benchmark():
    start = time.process_time()
    score_interval(Cells(9000, 700, 500, 3842), baseline=0.25)
    assert time.process_time() - start < 0.25


@pytest.mark.parametrize(
    ("teacher", "baseline", "margin", "discordance"), [(0.9, 0.0, 0.97, 0.03), (0.45, 0.25, 0.90, 0.20)]
)
def test_false_pass_rate_at_the_boundary(teacher, baseline, margin, discordance):
    truth = planned_cells(teacher, discordance, retained=margin, baseline=baseline)
    draws = np.random.default_rng(20240).multinomial(100, truth.counts, size=4000)
    distinct, times = np.unique(draws, axis=0, return_counts=True)
    passes = 0
    for counts, repeats in zip(distinct.tolist(), times.tolist(), strict=True):
        cells = Cells(*counts)
        signal = has_signal(cells, baseline=baseline)
        passes += repeats * (signal and score_statistic(cells, margin=margin, baseline=baseline) >= Z95)
    assert passes / 4000 <= 0.035
