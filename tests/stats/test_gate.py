from dataclasses import replace

import numpy as np
import pytest

from distbench.stats import (
    Cells,
    Claim,
    Estimate,
    Status,
    SuiteRule,
    Verdict,
    contrast_test,
    decide,
    decide_suite,
    delta,
    identical,
    noninferiority,
    retained,
    retained_from_cells,
)


def estimate(lo, hi, **fields):
    values = {"value": (lo + hi) / 2, "lo": lo, "hi": hi, "n": 500, "method": "fieller_t"} | fields
    return Estimate(**values)


@pytest.mark.parametrize(
    ("counts", "verdict"),
    [
        # Shared test vectors gate_pass, gate_fail, gate_inconclusive: b = 0.25, m = 0.95.
        ((690, 18, 16, 276), Verdict.PASS),
        ((600, 110, 20, 270), Verdict.FAIL),
        ((660, 45, 30, 265), Verdict.INCONCLUSIVE),
    ],
)
def test_known_verdicts(counts, verdict):
    assert decide(retained_from_cells(Cells(*counts), baseline=0.25), 0.95).verdict is verdict


def test_equality_passes_and_does_not_fail():
    assert decide(estimate(0.95, 0.99), 0.95).verdict is Verdict.PASS
    assert decide(estimate(0.90, 0.95), 0.95).verdict is Verdict.INCONCLUSIVE
    assert decide(identical(3), 1.0).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (Status.NO_SIGNAL, Verdict.NO_SIGNAL),
        (Status.NO_GAP, Verdict.NO_SIGNAL),
        (Status.INVALID, Verdict.INVALID),
        (Status.NO_INTERVAL, Verdict.INCONCLUSIVE),
        (Status.LEFT_OUT, Verdict.INCONCLUSIVE),
        (Status.UNDEFINED, Verdict.INCONCLUSIVE),
    ],
)
def test_what_is_not_an_interval_does_not_pass(status, verdict):
    decision = decide(estimate(0.99, 1.01, status=status, reason="because"), 0.5)
    assert (decision.verdict, decision.reason) == (verdict, "because")


def test_no_limits_never_pass():
    assert decide(replace(estimate(0.9, 1.0), lo=None), 0.5).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("fields", "verdict"),
    [
        ({"n": 99}, Verdict.INCONCLUSIVE),
        ({"n": 100}, Verdict.PASS),
        ({"n": 500, "n_clusters": 9}, Verdict.INCONCLUSIVE),
        ({"n": 500, "n_clusters": 10}, Verdict.PASS),
        ({"n": 500, "n_effective": 40.0}, Verdict.INCONCLUSIVE),
        ({"n": 500, "n_clusters": 50, "clusters_effective": 4.0}, Verdict.INCONCLUSIVE),
        ({"n": 20, "method": "score_cml"}, Verdict.PASS),
        ({"n": 20, "method": "score_cluster_bound"}, Verdict.INCONCLUSIVE),
        ({"n": 20, "method": "wilson"}, Verdict.PASS),
    ],
)
def test_floors_bind_where_the_interval_is_not_the_score_interval(fields, verdict):
    assert decide(estimate(0.96, 0.99, **fields), 0.95).verdict is verdict


def test_a_failure_below_the_floor_is_not_a_failure():
    assert decide(estimate(0.1, 0.2, n=30), 0.95).verdict is Verdict.INCONCLUSIVE


def test_at_most_so_much_worse():
    rng = np.random.default_rng(0)
    teacher = rng.normal(1.0, 0.1, 400)
    worse = delta(teacher + 0.02 + rng.normal(0, 0.01, 400), teacher, higher_is_better=False)
    assert decide(worse, -0.05).verdict is Verdict.PASS
    assert decide(worse, -0.01).verdict is Verdict.FAIL


def claim(name, cells, margin):
    test = noninferiority(cells, margin=margin, baseline=0.25)
    return Claim(name, retained_from_cells(cells, baseline=0.25), margin, test.p_below)


GOOD = Cells(690, 18, 16, 276)
BAD = Cells(500, 200, 20, 280)
SUITE = Claim("suite", estimate(0.96, 0.99), 0.95)


def test_a_good_suite_passes():
    decision = decide_suite(SUITE, [claim("a", GOOD, 0.9), claim("b", GOOD, 0.9)])
    assert decision.verdict is Verdict.PASS
    assert decision.failed == ()
    assert decision.claims["a"].verdict is Verdict.PASS


@pytest.mark.parametrize("place", ["task", "group"])
def test_one_ruined_task_or_group_fails_a_fine_average(place):
    bad = [claim("bad", BAD, 0.9)]
    tasks, groups = ([*bad, claim("a", GOOD, 0.9)], []) if place == "task" else ([claim("a", GOOD, 0.9)], bad)
    decision = decide_suite(SUITE, tasks, groups)
    assert (decision.verdict, decision.failed) == (Verdict.FAIL, ("bad",))
    assert "bad" in decision.reason


def test_a_failing_suite_fails_without_its_tasks():
    assert decide_suite(Claim("suite", estimate(0.8, 0.9), 0.95), []).verdict is Verdict.FAIL


def test_a_task_below_its_floor_only_before_holm_blocks_the_pass_but_does_not_fail():
    doubtful = Claim("doubtful", estimate(0.8, 0.89), 0.9, p_below=0.02)
    fine = [Claim(f"t{k}", estimate(0.96, 0.99), 0.9, p_below=0.9) for k in range(5)]
    decision = decide_suite(SUITE, [doubtful, *fine])
    assert (decision.verdict, decision.failed) == (Verdict.INCONCLUSIVE, ())
    assert "doubtful" in decision.reason
    assert decide_suite(SUITE, [doubtful]).verdict is Verdict.FAIL


def test_an_inconclusive_task_does_not_block_the_default_rule_but_every_task_does():
    open_task = Claim("open", estimate(0.85, 0.95), 0.9, p_below=0.5)
    assert decide_suite(SUITE, [open_task]).verdict is Verdict.PASS
    assert decide_suite(SUITE, [open_task], rule=SuiteRule.EVERY_TASK).verdict is Verdict.INCONCLUSIVE


def test_every_task():
    passing = [claim("a", GOOD, 0.9), claim("b", GOOD, 0.9)]
    failing_suite = Claim("suite", estimate(0.8, 0.9), 0.95)
    assert decide_suite(failing_suite, passing, rule=SuiteRule.EVERY_TASK).verdict is Verdict.PASS
    with_bad = [*passing, claim("bad", BAD, 0.9)]
    assert decide_suite(SUITE, with_bad, rule=SuiteRule.EVERY_TASK).verdict is Verdict.FAIL
    silent = Claim("chance", Estimate(None, None, None, 50, "score_cml", Status.NO_SIGNAL), 0.9)
    assert decide_suite(SUITE, [*passing, silent], rule=SuiteRule.EVERY_TASK).verdict is Verdict.INCONCLUSIVE
    assert decide_suite(SUITE, [silent], rule=SuiteRule.EVERY_TASK).verdict is Verdict.NO_SIGNAL


@pytest.mark.parametrize("rule", list(SuiteRule))
def test_an_invalid_part_makes_the_suite_invalid(rule):
    invalid = Claim("broken", replace(estimate(0.96, 0.99), status=Status.INVALID, reason="coverage 0.5"), 0.9)
    decision = decide_suite(SUITE, [claim("a", GOOD, 0.9), invalid], rule=rule)
    assert decision.verdict is Verdict.INVALID
    assert "broken" in decision.reason


def test_a_suite_without_signal_says_so():
    silent = Claim("suite", Estimate(None, None, None, 50, "fieller_suite", Status.NO_SIGNAL, "no task"), 0.95)
    assert decide_suite(silent, []).verdict is Verdict.NO_SIGNAL


def test_holm_keeps_false_failures_of_many_tasks_rare():
    rng = np.random.default_rng(5)
    failures = 0
    for _ in range(60):
        claims = []
        for k in range(8):
            t = rng.normal(1.0, 0.3, 150)
            s = 0.9 * t + rng.normal(0, 0.2, 150)  # exactly on the margin
            claims.append(Claim(str(k), retained(s, t), 0.9, contrast_test(s, t, margin=0.9).p_below))
        failures += decide_suite(SUITE, claims).verdict is Verdict.FAIL
    assert failures <= 5  # 1.5 expected; 11 without the correction


def test_names_must_differ():
    with pytest.raises(ValueError, match="distinct"):
        decide_suite(SUITE, [SUITE])


def test_verdicts_read_as_text():
    assert f"{Verdict.PASS}" == "PASS"
    assert Verdict.NO_SIGNAL == "NO_SIGNAL"
