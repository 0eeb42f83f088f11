"""One task whose samples arrive one after the other: when it is decided, and how."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from distbench import stats
from distbench.stats import ClusterPlan, GrowingTask, SequentialRule, Status, SuiteRule, Verdict, decide_so_far
from distbench.stats.anytime import Trail
from distbench.stats.exhausted import fixed_task
from distbench.stats.growing import GrowingSuite
from distbench.stats.stream import task_ledger, units_of
from tests.stats.growing import EQUAL, MUCH_WORSE, STUDENT, TEACHER, WORSE, clustered, drawn, grown
from tests.stats.strategies import baselines

BETTING_ALONE = SequentialRule(final_share=0.0)


# Verdicts on one task


def test_a_clearly_good_student_passes_early_and_a_clearly_bad_one_fails_early():
    good, bad = decide_so_far([grown()]), decide_so_far([grown(MUCH_WORSE)])
    assert (good.verdict, good.final, good.wanted) == (Verdict.PASS, True, None)
    assert (bad.verdict, bad.final) == (Verdict.FAIL, True)
    assert good.samples["a"] <= 1500
    assert bad.samples["a"] <= 500
    assert good.suite.estimate.method == "betting"
    assert good.suite.estimate.lo >= 0.95 > bad.suite.estimate.hi


def test_betting_may_decide_on_fewer_samples_than_a_fixed_size_interval():
    decision = decide_so_far([grown(MUCH_WORSE, n=900)])
    assert decision.verdict is Verdict.FAIL
    assert decision.samples["a"] < stats.MIN_SAMPLES


def test_before_it_is_certain_it_says_what_it_wants_next():
    decision = decide_so_far([grown(so_far=130)])
    assert (decision.verdict, decision.final, decision.exhausted) == (Verdict.INCONCLUSIVE, False, False)
    assert decision.looks == ({"a": 125},)
    assert decision.wanted == {"a": 250}


@pytest.mark.parametrize("shares", [EQUAL, WORSE, MUCH_WORSE, (0.655, 0.045, 0.02, 0.28)])
def test_following_what_it_wants_gives_what_all_scores_at_once_give(shares):
    whole = grown(shares, n=900)
    once = decide_so_far([whole])
    wanted, decision = stats.look_schedule({"a": 900})[0], None
    while wanted is not None:
        decision = decide_so_far([grown(shares, n=900, so_far=wanted["a"])])
        wanted = decision.wanted
    assert decision == once


def test_samples_after_the_verdict_change_nothing():
    task = grown()
    decision = decide_so_far([task])
    n = decision.samples["a"]
    spoilt = replace(task, student=np.concatenate([task.student[:n], 1 - task.student[n:]]))
    assert decide_so_far([spoilt]) == decision


def test_a_ledger_knows_nothing_of_what_comes_after_its_last_look():
    whole, prefix = (task_ledger(units_of(grown(MUCH_WORSE, n=900, so_far=n)), [20, 57]) for n in (900, 57))
    for name in ("x", "y", "counts", "ranges", "planned"):
        assert np.array_equal(getattr(whole, name), getattr(prefix, name))


def test_the_order_within_a_look_does_not_matter():
    task = grown(n=900)
    order = np.concatenate(
        [
            np.random.default_rng(1).permutation(np.arange(a, b))
            for a, b in zip([0, *stats.looks(900)[:-1]], stats.looks(900), strict=True)
        ]
    )
    shuffled = replace(task, student=task.student[order], teacher=task.teacher[order])
    assert decide_so_far([shuffled]) == decide_so_far([task])


@given(st.integers(0, 10_000), baselines, st.sampled_from([0.8, 0.95, 1.0]), st.sampled_from([1, 3]))
@settings(max_examples=60, deadline=None)
def test_the_interval_holds_exactly_the_margins_that_no_look_rejects(seed, baseline, margin, k):
    rng = np.random.default_rng(seed)
    if baseline > 0.5:
        return
    p = rng.dirichlet([8.0, 1.0, 1.0, 2.0])
    task = grown(p / p.sum(), n=400, seed=seed, scale=(baseline, 1.0))
    ledger = task_ledger(units_of(task), [32 * k, 200, 400])
    trail = Trail(ledger, margin, 0.0125)
    if trail.value is None:
        return
    lo, hi = trail.limits()
    assert (lo >= margin) == (trail.p_above[-1] <= 0.0125)
    assert (hi < margin) == (trail.p_below[-1] <= 0.0125)
    for limit, side in ((lo, "p_above"), (hi, "p_below")):
        if abs(limit - margin) < 1e-6 or not math.isfinite(limit):
            continue
        out = -1e-6 if side == "p_above" else 1e-6
        assert getattr(Trail(ledger, limit + out, 0.0125), side)[-1] <= 0.0125
        assert getattr(Trail(ledger, limit - out, 0.0125), side)[-1] > 0.0125


def test_the_interval_is_the_intersection_of_those_of_single_looks():
    # The student gets worse along the way, so that an early look bounds R from below beyond the last estimate.
    early, late = drawn(1500, (0.7, 0.01, 0.03, 0.26), seed=4), drawn(2500, (0.6, 0.09, 0.02, 0.29), seed=5)
    scores = [np.concatenate(pair) for pair in zip(early, late, strict=True)]
    ledger = task_ledger(units_of(GrowingTask("a", *scores, 4000, scale=(0.25, 1.0))), [500, 1500, 4000])
    trail = Trail(ledger, 0.5, 0.0125)
    single = [Trail(replace(ledger, counts=ledger.counts[[i]]), 0.5, 0.0125).limits() for i in range(3)]
    assert trail.limits()[0] == pytest.approx(max(lo for lo, _ in single))
    assert trail.limits()[1] == pytest.approx(min(hi for _, hi in single))
    assert max(lo for lo, _ in single) > single[-1][0] + 0.01
    assert trail.value < trail.limits()[0]


def test_the_interval_and_the_test_agree_to_the_last_digit():
    ledger = task_ledger(units_of(grown(n=900)), [300, 900])
    for limit in Trail(ledger, 0.5, 0.0125).limits():
        for step in range(-30, 31):
            trail = Trail(ledger, limit + step * 1e-13, 0.0125)
            lo, hi = trail.limits()
            assert (lo >= trail.margin) == (trail.p_above[-1] <= 0.0125)
            assert (hi < trail.margin) == (trail.p_below[-1] <= 0.0125)


def test_lower_is_better_is_the_mirror_image():
    task = grown(WORSE, n=900)
    errors = replace(task, student=1 - task.student, teacher=1 - task.teacher, scale=(0.75, 0.0))
    for one, other in ((task, errors), (grown(), None)):
        if other is not None:
            a, b = decide_so_far([one]), decide_so_far([other])
            assert (a.verdict, a.looks) == (b.verdict, b.looks)
            assert a.suite.estimate.lo == pytest.approx(b.suite.estimate.lo, abs=1e-9)


def test_scores_between_0_and_1_are_bet_on_with_their_own_size():
    rng = np.random.default_rng(5)
    teacher = rng.beta(8, 3, 3000)
    student = np.clip(teacher + rng.normal(0, 0.02, 3000), 0, 1)
    decision = decide_so_far([GrowingTask("f1", student, teacher, 3000)])
    assert decision.verdict is Verdict.PASS
    assert decision.samples["f1"] < 500  # quiet differences need fewer samples than 0/1 scores


# What cannot be decided


def test_a_teacher_at_chance_is_never_more_than_no_signal():
    guesses = (0.0625, 0.1875, 0.1875, 0.5625)
    open_, ended = decide_so_far([grown(guesses, n=600, so_far=300)]), decide_so_far([grown(guesses, n=600)])
    assert (open_.verdict, open_.final) == (Verdict.INCONCLUSIVE, False)
    assert (ended.verdict, ended.final) == (Verdict.NO_SIGNAL, True)
    assert ended.suite.estimate.status is Status.NO_SIGNAL


def test_a_student_better_than_a_teacher_below_chance_does_not_pass():
    task = grown((0.0, 0.1, 0.5, 0.4))
    assert decide_so_far([task]).verdict is Verdict.NO_SIGNAL
    # Nothing counts as evidence on R before there is an R: the p-values stay at 1 (they enter Holm's correction).
    trail = Trail(task_ledger(units_of(task), [1000, 4000]), 0.95, 0.0125)
    assert (trail.p_above.tolist(), trail.p_below.tolist()) == ([1.0, 1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="without a signal"):
        trail.limits()


def test_identical_outputs_are_exactly_one_as_soon_as_the_teacher_shows_a_signal():
    student, teacher = drawn(2000, (0.7, 0.0, 0.0, 0.3))
    decision = decide_so_far([GrowingTask("a", student, teacher, 2000, scale=(0.25, 1.0), same_outputs=True)])
    assert decision.samples["a"] == 63
    assert (decision.suite.estimate.lo, decision.suite.estimate.hi) == (1.0, 1.0)
    assert decision.verdict is Verdict.PASS
    # Equal correctness alone is no proof.
    assert decide_so_far([GrowingTask("a", student, teacher, 2000, scale=(0.25, 1.0))]).samples["a"] > 63


def test_an_invalid_task_makes_the_suite_invalid_but_not_final():
    broken = grown(so_far=500, invalid="coverage 0.5")
    decision = decide_so_far([broken, grown(name="b", so_far=500)])
    assert (decision.verdict, decision.final) == (Verdict.INVALID, False)
    assert decision.reason == "not valid: a"
    assert decide_so_far([replace(broken, student=STUDENT, teacher=TEACHER, total=4)]).final


# The last look


def test_without_further_samples_the_interval_is_that_of_both_kinds_together():
    task = grown((0.655, 0.045, 0.02, 0.28), n=900)
    both, alone = decide_so_far([task]), decide_so_far([task], BETTING_ALONE)
    trail = Trail(task_ledger(units_of(task), stats.looks(900)), 0.95, 0.0125)
    fixed = stats.retained(task.student, task.teacher, baseline=0.25, alpha=0.025)
    assert both.exhausted
    assert both.suite.estimate.method == "betting_fixed"
    assert both.suite.estimate.lo == max(trail.limits()[0], fixed.lo)
    assert both.suite.estimate.hi == min(trail.limits()[1], fixed.hi)
    assert alone.suite.estimate.method == "betting"
    assert alone.suite.estimate.hi - alone.suite.estimate.lo > fixed.hi - fixed.lo


def test_p_values_are_shares_of_the_whole_alpha():
    task = grown((0.655, 0.045, 0.02, 0.28), n=900, floor=0.97)
    counts = stats.looks(900)
    bet = Trail(task_ledger(units_of(task), counts), 0.97, 0.025 * 0.7).p_below
    fixed = stats.margin_test(task.student, task.teacher, margin=0.97, baseline=0.25).p_below
    suite = GrowingSuite([task], 0.95, SuiteRule.DEFAULT, 0.05, 0.3)
    for n in (4, len(counts)):
        _, p = suite._task(task, [{"a": c} for c in counts[:n]], ended=n == len(counts), precise=False)
        assert p == pytest.approx(min(1.0, bet[n - 1] / 0.7, *([fixed / 0.3] if n == len(counts) else [])))


def test_the_kept_share_decides_what_betting_alone_cannot():
    students = [grown(n=745, seed=seed) for seed in range(40)]
    with_look = [decide_so_far([task]).verdict is Verdict.PASS for task in students]
    without = [decide_so_far([task], BETTING_ALONE).verdict is Verdict.PASS for task in students]
    assert sum(with_look) > sum(without) + 2


def test_a_fixed_interval_below_its_floor_of_clusters_has_no_say():
    task = clustered(n_clusters=8, size=50)
    assert fixed_task(task, alpha=0.025).p_below is None
    decision = decide_so_far([task], schedule=stats.look_schedule({"a": [50] * 8}))
    assert decision.exhausted
    assert decision.suite.estimate.method == "betting"


# Clusters


def test_clusters_of_one_are_samples():
    task = grown(n=900)
    labels = list(range(900))
    as_clusters = replace(task, clusters=labels, cluster_plan=ClusterPlan(900, 1))
    plain, grouped = decide_so_far([task], BETTING_ALONE), None
    grouped = decide_so_far([as_clusters], BETTING_ALONE, schedule=stats.look_schedule({"a": 900}))
    assert grouped.looks == plain.looks
    assert grouped.suite.estimate.lo == pytest.approx(plain.suite.estimate.lo)
    assert grouped.suite.tasks["a"].n_clusters == plain.samples["a"]


def test_a_cluster_that_answers_as_one_counts_as_one():
    rng = np.random.default_rng(2)
    kind = np.repeat(rng.choice(4, size=100, p=MUCH_WORSE), 10)
    labels = np.repeat(np.arange(100), 10).tolist()
    task = GrowingTask("a", STUDENT[kind], TEACHER[kind], 1000, scale=(0.25, 1.0),
                       clusters=labels, cluster_plan=ClusterPlan(100, 10))  # fmt: skip
    together = Trail(task_ledger(units_of(task), [1000]), 0.95, 0.025)
    one_each = grown(n=100)
    one_each = replace(one_each, student=STUDENT[kind[::10]], teacher=TEACHER[kind[::10]])
    alone = Trail(task_ledger(units_of(one_each), [100]), 0.95, 0.025)
    assert together.p_below[0] == pytest.approx(alone.p_below[0])
    naive = Trail(task_ledger(units_of(replace(task, clusters=None, cluster_plan=None)), [1000]), 0.95, 0.025)
    assert naive.p_below[0] < together.p_below[0] / 1000


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"clusters": [0] * 10 + [1] * 10 + [0] * 10}, "must follow one another"),
        ({"clusters": [0] * 15 + [1] * 15}, "were announced"),
        ({"clusters": [0] * 29 + [None]}, "is missing"),
        ({"cluster_plan": ClusterPlan(2, 10)}, "3 clusters of up to 10 samples, but 2 of up to 10 were announced"),
        ({"cluster_plan": None}, "belong together"),
    ],
)
def test_clusters_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        units_of(clustered(n_clusters=3, **change))


def test_a_clustered_task_needs_its_schedule():
    with pytest.raises(ValueError, match="a schedule that never cuts a cluster"):
        decide_so_far([clustered()])
