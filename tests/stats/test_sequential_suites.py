"""Suites of tasks whose samples arrive one after the other."""

from dataclasses import replace

import numpy as np
import pytest

from distbench.stats import GrowingTask, SequentialRule, Status, SuiteRule, Verdict, decide_so_far
from distbench.stats.anytime import Trail
from distbench.stats.stream import suite_ledger, task_ledger, units_of
from tests.stats.growing import EQUAL, MUCH_WORSE, STUDENT, TEACHER, WORSE, clustered, drawn, grown

BETTING_ALONE = SequentialRule(final_share=0.0)


def test_a_suite_of_one_task_is_that_task():
    task = grown(WORSE, n=900)
    trail = Trail(task_ledger(units_of(task), [100, 900]), 0.95, 0.0125)
    suite = Trail(suite_ledger([(units_of(task), 3.0)], [[100], [900]], rounds=900), 0.95, 0.0125)
    assert suite.p_below == pytest.approx(trail.p_below)
    assert suite.limits() == pytest.approx(trail.limits())


def test_the_suite_weighs_tasks_not_samples():
    # The large task is perfect, the small one is ruined: the macro mean is what counts.
    large, small = grown(n=6000, name="large"), grown((0.3, 0.4, 0.0, 0.3), n=300, name="small", floor=0.0)
    units = [(units_of(task), 1.0) for task in (large, small)]
    trail = Trail(suite_ledger(units, [[6000, 300]], rounds=300), 0.95, 0.0125)
    means = [[np.mean(t.student) - 0.25, np.mean(t.teacher) - 0.25] for t in (large, small)]
    s, t = np.sum(means, axis=0)
    assert trail.value == pytest.approx(s / t)
    assert decide_so_far([large, small]).verdict is Verdict.FAIL
    heavy = decide_so_far([replace(large, weight=50.0), small])
    assert heavy.verdict is Verdict.PASS


def test_rounds_count_only_when_they_are_complete_in_every_task():
    tasks = [grown(n=1000, name="a"), grown(n=10, name="b")]
    units = [(units_of(task), 1.0) for task in tasks]
    ledger = suite_ledger(units, [[1000, 4], [350, 10]], rounds=10)
    assert ledger.counts.sum(axis=1).tolist() == [404.0, 303.0]


def test_groups_of_a_round_differ_by_one_at_most_and_are_staked_by_their_size():
    tasks = [grown(n=10, name="a"), grown(n=4, name="b")]
    ledger = suite_ledger([(units_of(task), 1.0) for task in tasks], [[10, 4]], rounds=4)
    stakes = sorted(set((ledger.ranges[:, 1] - ledger.ranges[:, 0]).tolist()))
    assert stakes == pytest.approx([1 / 3, 1 / 2, 1.0])
    assert ledger.planned.tolist() == [4.0, 6.0, 4.0]
    assert (ledger.counts @ ledger.y)[0] == pytest.approx(4 * sum(weighted_mean(t) for t in tasks), rel=0.2)


def test_a_clustered_task_weighs_in_a_suite_what_its_samples_would():
    in_clusters = clustered(MUCH_WORSE, n_clusters=100, size=10)
    samples = replace(in_clusters, name="b", clusters=None, cluster_plan=None)
    plain = grown(n=300, name="c", seed=9)
    ratios = []
    for task in (in_clusters, samples):
        parts = [(units_of(task), 1.0), (units_of(plain), 1.0)]
        ratios.append(Trail(suite_ledger(parts, [[1000, 300]], rounds=100), 0.95, 0.0125).value)
    assert ratios[0] == pytest.approx(ratios[1])


def weighted_mean(task):
    return float(np.mean(task.teacher)) - task.scale[0]


def ruined(n=4000, name="ruined", **options):
    return grown((0.35, 0.3, 0.05, 0.3), n=n, name=name, **options)


def test_a_task_below_its_floor_fails_the_suite_although_the_average_is_fine():
    others = [grown(name=f"t{i}", seed=i) for i in range(12)]
    decision = decide_so_far([*others, replace(ruined(), weight=0.1)])
    assert decision.verdict is Verdict.FAIL
    assert decision.failed == ("ruined",)
    assert decision.reason == "below its floor: ruined"


def test_a_task_that_looks_ruined_goes_on_alone_before_the_suite_passes():
    others = [grown(name=f"t{i}", seed=i, n=2000) for i in range(6)]
    # Badly begun, then as good as the others: below its floor when they pass, but not surely.
    student, teacher = drawn(2000, EQUAL, seed=50)
    student[:250:9] = 0.0
    slow = GrowingTask("slow", student, teacher, 2000, scale=(0.25, 1.0), weight=0.05)
    decision = decide_so_far([*others, slow])
    assert decision.verdict is Verdict.PASS
    alone = [look for look in decision.looks if len({look["t0"], look["slow"]}) == 2]
    assert alone, decision.looks
    assert decision.samples["slow"] > decision.samples["t0"]
    assert decision.suite.tasks["slow"].value >= 0.9


def test_every_task_must_pass_and_stops_when_it_has():
    rule = SequentialRule(rule=SuiteRule.EVERY_TASK)
    easy = grown(name="easy", n=4000)
    hard = grown((0.65, 0.05, 0.05, 0.25), name="hard", n=4000, seed=3)
    decision = decide_so_far([easy, hard], rule)
    assert decision.verdict is Verdict.PASS
    assert decision.samples["easy"] < decision.samples["hard"]
    assert {d.verdict for d in decision.claims.values()} == {Verdict.PASS}
    assert decide_so_far([easy, ruined()], rule).verdict is Verdict.FAIL


def test_a_task_without_signal_is_left_out_but_may_not_be_what_decides():
    guesses = grown((0.0625, 0.1875, 0.1875, 0.5625), name="chance", n=1000)
    others = [grown(name=f"t{i}", seed=i, n=1000) for i in range(5)]
    decision = decide_so_far([*others, guesses])
    assert decision.verdict is Verdict.PASS
    assert decision.suite.left_out == ("chance",)
    too_many = [guesses, replace(guesses, name="chance 2"), *others]
    ended = decide_so_far(too_many)
    assert (ended.verdict, ended.final, ended.exhausted) == (Verdict.INCONCLUSIVE, True, True)
    assert ended.suite.estimate.status is Status.LEFT_OUT


def test_while_samples_arrive_the_contrast_of_all_tasks_must_agree():
    # At chance the teacher shows no signal, but the student is far below: leaving that out is what makes it a pass.
    hidden = grown((0.01, 0.26, 0.01, 0.72), name="hidden", n=1000)
    others = [grown(name=f"t{i}", seed=i, n=1000) for i in range(5)]
    assert decide_so_far(others, BETTING_ALONE).verdict is Verdict.PASS
    together = decide_so_far([*others, hidden], BETTING_ALONE)
    assert together.suite.left_out == ("hidden",)
    assert together.verdict is Verdict.INCONCLUSIVE
    assert together.suite.estimate.lo < 0.95 < together.suite.estimate.value


def test_failures_are_corrected_for_their_number():
    # One task a little below its floor among many: certain enough alone, not among twenty.
    doubtful = grown((0.6, 0.12, 0.02, 0.26), n=420, name="doubtful", seed=0)
    alone = decide_so_far([doubtful], SequentialRule(margin=0.5))
    many = [grown(name=f"t{i}", seed=i + 10, n=420) for i in range(20)]
    among = decide_so_far([doubtful, *many], SequentialRule(margin=0.5))
    assert alone.failed == ("doubtful",)
    assert among.claims["doubtful"].verdict is Verdict.FAIL
    assert among.failed == ()
    assert among.verdict is Verdict.INCONCLUSIVE


# Bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"student": [1.0, 0.0]}, "differ in length"),
        ({"student": [np.nan, 0, 1, 0]}, "must be a finite number"),
        ({"student": [2.0, 0, 1, 0]}, r"score 2\.0 lies outside the possible range 0 to 1"),
        ({"total": 3}, "4 samples, but only 3 were announced"),
        ({"weight": 0.0}, "will not do"),
        ({"scale": (0.5, 0.5)}, "will not do"),
        ({"bounds": (1.0, 0.0)}, "runs upwards"),
    ],
)
def test_a_task_that_does_not_fit_together_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        GrowingTask(**({"name": "a", "student": STUDENT, "teacher": TEACHER, "total": 10} | change))


def test_a_suite_that_cannot_be_asked_is_refused():
    with pytest.raises(ValueError, match="distinct"):
        decide_so_far([grown(), grown()])
    with pytest.raises(ValueError, match="at least one task"):
        decide_so_far([])
    with pytest.raises(ValueError, match="do not reach the first look"):
        decide_so_far([grown(so_far=20)])
    with pytest.raises(ValueError, match="schedule ends before"):
        decide_so_far([grown(so_far=200)], schedule=[{"a": 100}])
    with pytest.raises(ValueError, match="final_share"):
        SequentialRule(final_share=1.0)
    with pytest.raises(ValueError, match="alpha"):
        SequentialRule(alpha=0.0)
