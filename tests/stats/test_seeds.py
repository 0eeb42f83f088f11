from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats as scipy_stats

from distbench import stats
from distbench.stats import SeededTask, Status
from distbench.stats.fieller import t_quantile


def draw(seeds: int = 4, items: int = 50, seed: int = 0) -> SeededTask:
    random = np.random.default_rng(seed)
    easy = random.normal(0, 1, items)

    def answers(ability: float, runs: int) -> np.ndarray:
        return (ability + random.normal(0, 0.3, (runs, 1)) + easy + random.normal(0, 1, (runs, items)) > 0).astype(
            float
        )

    return SeededTask(answers(2.5, 1)[0], answers(1.2, seeds), answers(0.2, seeds))


def test_the_difference_over_seeds_is_the_paired_t_test() -> None:
    student, control = np.array([0.91, 0.93, 0.90]), np.array([0.88, 0.86, 0.89])
    found = stats.seed_difference(student, control)
    expected = scipy_stats.ttest_rel(student, control).confidence_interval(0.95)
    assert found.value == pytest.approx((0.03 + 0.07 + 0.01) / 3)
    assert (found.lo, found.hi) == pytest.approx((expected.low, expected.high))
    assert (found.n, found.df) == (3, 2.0)


def test_lower_is_better_turns_the_difference() -> None:
    one = stats.seed_difference([0.2, 0.3, 0.1], [0.4, 0.4, 0.3], higher_is_better=False)
    assert one.value == pytest.approx(0.5 / 3)


def test_a_single_seed_or_equal_differences_have_no_interval() -> None:
    one = stats.seed_difference([0.9], [0.8])
    assert (one.status, one.lo) == (Status.NO_INTERVAL, None)
    same = stats.seed_difference([0.9, 0.8, 0.7], [0.8, 0.7, 0.6])
    assert (same.status, same.lo) == (Status.NO_INTERVAL, None)
    assert same.value == pytest.approx(0.1)


def test_both_sources_enter_with_a_quantile_each() -> None:
    """By hand: a 2 × 4 table, the two variances and t(1), t(3)."""
    student = np.array([[1.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 1.0]])
    control = np.array([[0.0, 0.0, 1.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    d = student - control
    runs = d.mean(axis=1).var(ddof=1) / 2
    items = d.mean(axis=0).var(ddof=1) / 4
    half = math.sqrt(t_quantile(1, 0.05) ** 2 * runs + t_quantile(3, 0.05) ** 2 * items)
    found = stats.difference_over_seeds(student, control)
    assert found.value == pytest.approx(d.mean())
    assert (found.lo, found.hi) == pytest.approx((d.mean() - half, d.mean() + half))
    assert found.method == stats.SEEDS_AND_ITEMS


def test_the_gap_solves_fiellers_equation() -> None:
    """At each limit m the contrast N − m D is exactly its own half-width away from 0."""
    task = draw()
    found = stats.gap_over_seeds([task])
    assert task.control is not None
    assert found.lo is not None
    assert found.hi is not None
    assert found.lo < found.value < found.hi  # type: ignore[operator]
    for limit in (found.lo, found.hi):
        z = (task.student - task.control) - limit * (task.teacher - task.control)
        runs = z.mean(axis=1).var(ddof=1) / len(z)
        items = z.mean(axis=0).var(ddof=1) / z.shape[1]
        half = math.sqrt(t_quantile(len(z) - 1, 0.05) ** 2 * runs + t_quantile(z.shape[1] - 1, 0.05) ** 2 * items)
        assert abs(z.mean()) == pytest.approx(half)


def test_the_gap_is_a_ratio_of_means_not_a_mean_of_ratios() -> None:
    task = draw()
    assert task.control is not None
    value = (task.student - task.control).mean() / (task.teacher - task.control).mean()
    assert stats.gap_over_seeds([task]).value == pytest.approx(value)


def test_runs_that_differ_more_give_a_longer_interval() -> None:
    task = draw(seeds=3, items=400)
    shifted = task.student.copy()
    shifted[0], shifted[1] = 1.0, 0.0  # two extreme runs, about the same mean
    longer = stats.score_over_seeds(shifted)
    short = stats.score_over_seeds(task.student)
    assert longer.hi - longer.lo > 3 * (short.hi - short.lo)  # type: ignore[operator]


def test_items_count_even_where_all_runs_agree() -> None:
    """Three runs that answered alike say nothing of further items: the interval must not collapse."""
    answers = (np.arange(40) % 4 > 0).astype(float)
    found = stats.score_over_seeds(np.stack([answers] * 3))
    assert found.lo is not None
    assert found.hi is not None
    assert found.hi - found.lo == pytest.approx(2 * t_quantile(39, 0.05) * answers.std(ddof=1) / math.sqrt(40))


def test_a_perfect_score_is_no_interval_of_width_0() -> None:
    found = stats.score_over_seeds(np.ones((3, 40)))
    assert (found.value, found.lo, found.hi, found.status) == (1.0, None, None, Status.NO_INTERVAL)


def test_no_gap_where_the_controls_are_as_good_as_the_teacher() -> None:
    random = np.random.default_rng(1)
    teacher = random.integers(0, 2, 60).astype(float)
    runs = random.integers(0, 2, (2, 3, 60)).astype(float)
    found = stats.gap_over_seeds([SeededTask(teacher, runs[0], runs[1])])
    assert (found.status, found.value, found.lo) == (Status.NO_GAP, None, None)
    assert found.reason


def test_retained_over_seeds_is_chance_corrected_and_weighs_tasks() -> None:
    one, two = draw(seed=1), draw(seed=2)
    first = SeededTask(one.teacher, one.student, scale=(0.25, 1.0), weight=3.0)
    second = SeededTask(two.teacher, two.student, scale=(0.0, 1.0))
    above = [3 / 0.75 * (each - 0.25) + (other - 0.0) for each, other in
             ((one.student.mean(), two.student.mean()), (one.teacher.mean(), two.teacher.mean()))]  # fmt: skip
    assert stats.retained_over_seeds([first, second]).value == pytest.approx(above[0] / above[1])


def test_lower_is_better_scales_are_oriented() -> None:
    task = draw()
    assert task.control is not None
    turned = SeededTask(1 - task.teacher, 1 - task.student, 1 - task.control, scale=(1.0, 0.0))
    one, other = stats.gap_over_seeds([task]), stats.gap_over_seeds([turned])
    assert (one.value, one.lo, one.hi) == pytest.approx((other.value, other.lo, other.hi))


def test_clusters_widen_the_interval() -> None:
    """Runs that agree leave the items alone; five copies of an item are no five items."""
    rows = np.repeat(np.arange(12), 5)
    together = np.stack([np.repeat(np.arange(12) % 3 > 0, 5).astype(float)] * 3)
    alone, clustered = stats.score_over_seeds(together), stats.score_over_seeds(together, clusters=rows)
    assert clustered.hi - clustered.lo > 1.5 * (alone.hi - alone.lo)  # type: ignore[operator]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda t: SeededTask(t.teacher, t.student[:1]), "at least two"),
        (lambda t: SeededTask(t.teacher[:-1], t.student), r"scores are \[n\]"),
        (lambda t: SeededTask(t.teacher, t.student, t.student[:2]), "one row a seed"),
        (lambda t: SeededTask(t.teacher, np.full_like(t.student, np.nan)), "finite"),
        (lambda t: SeededTask(t.teacher, t.student, scale=(1.0, 1.0)), "equals the baseline"),
        (lambda t: stats.gap_over_seeds([SeededTask(t.teacher, t.student)]), "needs the control"),
        (lambda t: stats.gap_over_seeds([]), "at least one task"),
        (lambda t: stats.retained_over_seeds([t, SeededTask(t.teacher, t.student[:3])]), "the same seeds"),
        (lambda t: stats.score_over_seeds(t.student, clusters=["a"] * t.teacher.size), "two clusters"),
    ],
)
def test_what_does_not_fit_is_refused(build: Callable[[SeededTask], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(draw())


@pytest.mark.parametrize(("seeds", "spread"), [(3, 0.0), (3, 0.6), (5, 0.3)])
def test_the_interval_of_the_gap_holds_the_truth(seeds: int, spread: float) -> None:
    """No effect of distillation: the truth is 0. 300 studies; 93 % is far below what the interval gives."""
    random = np.random.default_rng(seeds)
    held, decided = 0, 0
    for _ in range(300):
        easy = random.normal(0, 1, 200)

        def runs(ability: float, number: int, spread: float, easy: np.ndarray = easy) -> np.ndarray:
            luck = random.normal(0, 1, (number, easy.size))
            return (ability + random.normal(0, spread, (number, 1)) + easy + luck > 0).astype(float)

        sides = runs(0.3, seeds, spread), runs(0.3, seeds, spread)
        found = stats.gap_over_seeds([SeededTask(runs(2.5, 1, 0.0)[0], *sides)])
        if found.lo is not None and found.hi is not None:
            decided += 1
            held += found.lo <= 0 <= found.hi
    assert decided > 150
    assert held >= 0.93 * decided
