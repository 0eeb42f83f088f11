"""Items balanced within a template: clusters must not make a guessing teacher look precise."""

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from distbench.stats import (
    ClusterPlan,
    GrowingTask,
    Moments,
    SequentialRule,
    Status,
    decide_so_far,
    fieller_interval,
    margin_test,
    mean_covariance,
    rate,
    ratio_of_means,
    retained,
    retained_suite,
    suite_task,
)

from .strategies import score_pairs

CHANCE, ITEMS = 1 / 3, 12
TRIALS = 1500


def templates(*, n, extra):
    """Return flags of `n` templates in which the first option is right in 4 of 12, one more in the first `extra`."""
    scores = np.tile(np.repeat([1.0, 0.0], [4, 8]), (n, 1))
    scores[:extra, 4] = 1.0
    return scores.ravel(), np.repeat(np.arange(n), ITEMS)


def guesses(rng, n):
    return (rng.random((n, ITEMS)) < CHANCE).astype(float)


def first_option(rng, n):
    """The first option, but on a twentieth of the items one of the others."""
    scores = np.tile(np.repeat([1.0, 0.0], [4, 8]), (n, 1))
    other = rng.random(scores.shape) < 0.05
    lucky = rng.random(scores.shape) < 0.5
    return np.where(other, np.where(scores == 1, 0.0, lucky), scores)


def lost_templates(rng, n):
    """One more right than chance in four templates of five, none in the fifth: chance on average."""
    scores = np.tile(np.repeat([1.0, 0.0], [5, 7]), (n, 1))
    return scores * (rng.random((n, 1)) < 0.8)


@pytest.mark.parametrize("n", [10, 40])
@pytest.mark.parametrize("teacher", [guesses, first_option, lost_templates])
def test_a_random_teacher_shows_a_signal_no_more_often_than_the_level(teacher, n):
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(n), ITEMS)
    found = 0
    for _ in range(TRIALS):
        scores = teacher(rng, n).ravel()
        found += retained(scores, scores, baseline=CHANCE, clusters=labels).status is not Status.NO_SIGNAL
    assert found / TRIALS <= 0.025 + 3 * math.sqrt(0.025 * 0.975 / TRIALS)


def test_the_clustered_variance_alone_would_see_a_signal():
    rng = np.random.default_rng(5)
    labels = np.repeat(np.arange(10), ITEMS)
    found = 0
    for _ in range(TRIALS):
        excess = lost_templates(rng, 10).ravel() - CHANCE
        moments = mean_covariance(excess, excess, clusters=labels)
        alone = Moments(moments.mean, moments.covariance, moments.df, moments.n, moments.n_clusters)
        found += ratio_of_means(alone).status is not Status.NO_SIGNAL
    assert found / TRIALS > 2 * 0.025  # .107 is the chance that no template of ten is lost


def test_a_hair_above_chance_in_balanced_templates_is_no_signal():
    teacher, labels = templates(n=40, extra=10)
    student, _ = templates(n=40, extra=40)
    alone = mean_covariance(teacher - CHANCE, clusters=labels)
    assert alone.mean[0] / alone.covariance[0, 0] ** 0.5 > 3.5  # what the clusters alone would call a signal
    estimate = retained(student, teacher, baseline=CHANCE, clusters=labels)
    assert (estimate.status, estimate.value) == (Status.NO_SIGNAL, None)
    suite = retained_suite([suite_task("t", student, teacher, estimate=estimate, scale=(CHANCE, 1.0), clusters=labels)])
    assert suite.estimate.status is Status.NO_SIGNAL


@given(score_pairs(min_size=6), st.integers(2, 3))
def test_clusters_never_shorten_an_interval(pair, size):
    student, teacher = pair
    labels = np.arange(student.size) // size
    found = mean_covariance(student, teacher, clusters=labels)
    assume(found.df >= 1)
    limits = fieller_interval(found)
    for covariance in (found.covariance, found.independent):
        either = fieller_interval(Moments(found.mean, covariance, found.df, found.n))
        assert limits.lo <= either.lo
        assert either.hi <= limits.hi
    assert found.independent == pytest.approx(mean_covariance(student, teacher).covariance)


@given(score_pairs(min_size=6), st.integers(2, 3), st.floats(-2, 2))
def test_no_contrast_is_less_than_the_larger_variance(pair, size, margin):
    moments = mean_covariance(*pair, clusters=np.arange(pair[0].size) // size)
    assume(moments.df >= 1)
    weights = np.array([1.0, -margin])
    either = [float(weights @ each @ weights) for each in moments.covariances]
    assert moments.contrast(weights)[1] == pytest.approx(max(0.0, *either))
    scale = max(float(np.trace(each)) for each in moments.covariances)
    assert float(weights @ moments.dominating() @ weights) >= max(either) - 1e-9 * scale


def test_test_and_interval_take_the_same_variance():
    rng = np.random.default_rng(2)
    teacher = np.tile([1.0, 1.0, 1.0, 0.0], 60)
    student = np.where(rng.random(240) < 0.1, 1 - teacher, teacher)
    labels = np.repeat(np.arange(60), 4)
    estimate = retained(student, teacher, baseline=0.25, clusters=labels)
    for limit, name in ((estimate.lo, "p_above"), (estimate.hi, "p_below")):
        test = margin_test(student, teacher, margin=limit, baseline=0.25, clusters=labels)
        assert getattr(test, name) == pytest.approx(0.025, rel=1e-6)


def test_a_suite_is_no_more_certain_than_its_items():
    rng = np.random.default_rng(3)
    teacher = np.tile([1.0, 1.0, 1.0, 0.0], 60)
    student = np.tile([1.0, 1.0, 0.0, 1.0], 60)  # three of four in every template, by both: no variance between them
    labels = np.repeat(np.arange(60), 4)
    other = (rng.random(240) < 0.8).astype(float)
    parts = [(student, teacher), (other, np.where(rng.random(240) < 0.1, 1 - other, other))]
    widths = []
    for clusters in (labels, None):
        tasks = [
            suite_task(str(k), s, t, estimate=retained(s, t, clusters=clusters), clusters=clusters)
            for k, (s, t) in enumerate(parts)
        ]
        found = retained_suite(tasks).estimate
        widths.append(found.hi - found.lo)
    assert widths[0] >= widths[1]


def test_a_rate_has_no_more_samples_than_there_are():
    flags = np.tile([1.0, 0.0], 100)  # one of two in every template
    clustered = rate(flags, clusters=np.repeat(np.arange(100), 2))
    plain = rate(flags)
    assert clustered.lo <= plain.lo < plain.hi <= clustered.hi


@pytest.mark.parametrize(("extra", "status"), [(30, Status.NO_SIGNAL), (300, Status.OK)])
def test_an_early_signal_must_show_in_the_samples_too(extra, status):
    # 600 templates of three, one right by taking the first option; `extra` templates with a second one right.
    order = np.random.default_rng(1).permutation(600)
    scores = np.tile([1.0, 0.0, 0.0], (600, 1))
    scores[np.flatnonzero(order < extra), 1] = 1.0
    teacher, labels = scores.ravel(), np.repeat(np.arange(600), 3).tolist()
    task = GrowingTask(
        "t", teacher, teacher, 1800, (CHANCE, 1.0), clusters=labels, cluster_plan=ClusterPlan(600, 3), floor=0.9
    )  # fmt: skip
    decision = decide_so_far([task], SequentialRule(final_share=0.0), schedule=[{"t": 900}, {"t": 1800}])
    assert decision.suite.tasks["t"].status is status
