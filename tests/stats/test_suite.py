import numpy as np
import pytest

from distbench.stats import (
    Cells,
    Status,
    Verdict,
    decide,
    fieller,
    identical,
    retained,
    retained_suite,
    suite_task,
    summarise_ratios,
)

RNG = np.random.default_rng(11)


def task(name, cells, *, baseline=0.25, **options):
    s, t = cells.scores()
    return suite_task(name, s, t, estimate=retained(s, t, baseline=baseline), scale=(baseline, 1.0), **options)


def real(name, *, n=80, loss=0.1, **options):
    t = RNG.normal(2.0, 0.5, n)
    s = (1 - loss) * t + RNG.normal(0, 0.2, n)
    return suite_task(name, s, t, estimate=retained(s, t), **options), (s, t)


TASKS = [task("a", Cells(150, 10, 8, 32)), task("b", Cells(90, 20, 5, 85)), task("c", Cells(220, 12, 10, 58))]


def test_the_value_is_the_ratio_of_macro_means():
    suite = retained_suite(TASKS)
    means = np.array([t.moments.mean for t in TASKS])
    expected = summarise_ratios(means[:, 0], means[:, 1], baseline=0.25)
    assert suite.estimate.value == pytest.approx(expected.ratio_of_means)
    assert suite.mean_of_ratios == pytest.approx(expected.mean_of_ratios)
    assert (suite.worst_task, suite.worst) == ("b", pytest.approx(expected.worst))
    assert suite.estimate.lo < suite.estimate.value < suite.estimate.hi
    assert suite.left_out == ()


def test_pooling_two_halves_of_one_task_is_close_to_the_whole():
    half, pair = real("first", n=200)
    other, second = real("second", n=200)
    whole = fieller(np.concatenate([pair[0], second[0]]), np.concatenate([pair[1], second[1]]))
    estimate = retained_suite([half, other]).estimate
    assert (estimate.lo, estimate.hi) == pytest.approx((whole.lo, whole.hi), abs=2e-3)
    assert 200 < estimate.df < 400


def test_one_task_is_its_own_suite():
    assert retained_suite(TASKS[:1]).estimate == TASKS[0].estimate


def test_units_of_the_scores_do_not_matter():
    small, (s, t) = real("x")
    large = suite_task("x", 100 * s, 100 * t, estimate=retained(100 * s, 100 * t), scale=(0.0, 100.0))
    other = TASKS[0]
    before, after = retained_suite([small, other]).estimate, retained_suite([large, other]).estimate
    assert (after.value, after.lo, after.hi) == pytest.approx((before.value, before.lo, before.hi))


def test_lower_is_better_tasks_take_part():
    t = RNG.uniform(0.05, 0.15, 300)
    s = t + RNG.normal(0.02, 0.01, 300)
    errors = suite_task("wer", s, t, estimate=retained(s, t, baseline=1.0, higher_is_better=False), scale=(1.0, 0.0))
    alone = retained_suite([errors]).estimate
    assert alone.value == pytest.approx((1 - s.mean()) / (1 - t.mean()))
    both = retained_suite([errors, TASKS[0]]).estimate
    assert min(alone.value, TASKS[0].estimate.value) < both.value < max(alone.value, TASKS[0].estimate.value)


def test_weights_shift_the_mean():
    s, t = TASKS[1].moments.mean
    heavy = task("b", Cells(90, 20, 5, 85), weight=50.0)
    assert retained_suite([TASKS[0], heavy]).estimate.value == pytest.approx((s - 0.25) / (t - 0.25), abs=0.01)


def test_tasks_without_signal_are_left_out_and_listed():
    chance = task("chance", Cells(20, 30, 30, 120))
    assert chance.estimate.status is Status.NO_SIGNAL
    suite = retained_suite([*TASKS, task("d", Cells(80, 5, 5, 10)), chance])
    assert suite.left_out == ("chance",)
    assert suite.estimate.status is Status.OK
    assert suite.tasks["chance"].value is None


def test_too_many_left_out_never_passes():
    chance = task("chance", Cells(20, 30, 30, 120))
    suite = retained_suite([*TASKS, chance])
    assert suite.estimate.status is Status.LEFT_OUT
    assert "1 of 4" in suite.estimate.reason
    assert decide(suite.estimate, 0.0).verdict is Verdict.INCONCLUSIVE


def test_no_signal_at_all():
    suite = retained_suite([task("chance", Cells(20, 30, 30, 120))])
    assert (suite.estimate.value, suite.estimate.status) == (None, Status.NO_SIGNAL)
    assert (suite.worst_task, suite.mean_of_ratios) == (None, None)


def test_identical_everywhere_is_exactly_one():
    s, t = Cells(80, 0, 0, 20).scores()
    same = [suite_task(name, s, t, estimate=identical(100), scale=(0.25, 1.0)) for name in "ab"]
    estimate = retained_suite(same).estimate
    assert (estimate.value, estimate.lo, estimate.hi, estimate.method) == (1.0, 1.0, 1.0, "identical")


def test_equal_correctness_everywhere_is_not_proof():
    estimate = retained_suite([task(name, Cells(80, 0, 0, 20)) for name in "abc"]).estimate
    assert estimate.value == pytest.approx(1.0)
    assert estimate.lo < 0.995
    assert estimate.hi > 1.005


def test_identical_at_chance_does_not_hide_the_rest():
    s, t = Cells(20, 0, 0, 80).scores()
    suite = retained_suite([suite_task("same", s, t, estimate=identical(100), scale=(0.25, 1.0)), *TASKS])
    assert suite.left_out == ()
    assert suite.estimate.status is Status.OK


def test_a_single_sample_takes_the_interval_away():
    single = suite_task("one", [1.0], [1.0], estimate=retained([1.0], [1.0]))
    estimate = retained_suite([single, *TASKS]).estimate
    assert (estimate.lo, estimate.status) == (None, Status.NO_INTERVAL)


def test_a_huge_task_does_not_hide_a_tiny_one():
    tiny, _ = real("tiny", n=8)
    huge, _ = real("huge", n=4000)
    estimate = retained_suite([tiny, huge]).estimate
    assert estimate.n == 4008
    assert estimate.n_effective < 100
    assert decide(estimate, 0.1).verdict is Verdict.INCONCLUSIVE


def test_clusters_are_counted():
    clustered, _ = real("x", n=120, clusters=np.arange(120) // 20)
    estimate = retained_suite([clustered, TASKS[0]]).estimate
    assert estimate.n_clusters == 6 + 200
    assert estimate.clusters_effective == pytest.approx(4 / (1 / 6 + 1 / 200))


@pytest.mark.parametrize("options", [{"weight": 0.0}, {"weight": float("nan")}])
def test_bad_weights_are_refused(options):
    with pytest.raises(ValueError, match="weight"):
        task("x", Cells(8, 1, 1, 2), **options)


def test_bad_suites_are_refused():
    with pytest.raises(ValueError, match="at least one"):
        retained_suite([])
    with pytest.raises(ValueError, match="distinct"):
        retained_suite([TASKS[0], TASKS[0]])
    with pytest.raises(ValueError, match="equals the baseline"):
        suite_task("x", [1.0], [1.0], estimate=identical(1), scale=(1.0, 1.0))
