"""Every rule of a policy passes, fails and stays undecided for its own reason, on records written by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from distbench.compare.asked import asked_of_student
from distbench.compare.rules import Side
from distbench.compare.student_rules import Student, policy_gate
from distbench.schema.policy import Policy
from distbench.schema.record import Footprint
from distbench.schema.result import Estimate, GateCheck, Measurement, SuiteScore
from distbench.schema.suite import GateSpec
from tests.compare.records import ACC, rows, run_of
from tests.gate.runs import TEACHER, N, checks, judged, losing, small_run, task

LOOSE = {"retained": 0.3, "task_floor": 0.3}


@pytest.mark.parametrize(
    ("rule", "lost", "threshold", "verdict", "direction"),
    [
        ("max_drop", 0.01, 0.05, "PASS", "at_most"),
        ("max_drop", 0.20, 0.05, "FAIL", "at_most"),
        ("max_drop", 0.05, 0.05, "INCONCLUSIVE", "at_most"),
        ("max_negative_flips", 0.01, 0.05, "PASS", "at_most"),
        ("max_negative_flips", 0.20, 0.05, "FAIL", "at_most"),
        ("agreement", 0.01, 0.90, "PASS", "at_least"),
        ("agreement", 0.20, 0.90, "FAIL", "at_least"),
        ("agreement", 0.10, 0.90, "INCONCLUSIVE", "at_least"),
        ("retained_knowledge", 0.01, 0.90, "PASS", "at_least"),
        ("retained_knowledge", 0.20, 0.90, "FAIL", "at_least"),
    ],
)
def test_a_rule_about_tasks(
    tmp_path: Path, rule: str, lost: float, threshold: float, verdict: str, direction: str
) -> None:
    run = small_run(tmp_path / "run", {"small": {"t": task(losing(lost))}})
    result = judged(run, **LOOSE, **{rule: threshold})
    (check,) = checks(result, rule)
    assert (check.task, check.metric, check.verdict, check.direction) == ("t", "acc", verdict, direction)
    assert check.observed.n == (N if rule != "retained_knowledge" else 320)
    assert result.verdict == verdict
    advisory = judged(run, **LOOSE, **{rule: {"threshold": threshold, "required": False}})
    assert checks(advisory, rule)[0].verdict == verdict
    assert advisory.verdict == "PASS"


def test_a_suites_rules_hold_where_the_policy_is_silent(tmp_path: Path) -> None:
    run = small_run(
        tmp_path / "run", {"small": {"t": task(losing(0.1))}}, gate={"retained": 0.99, "max_negative_flips": 0.3}
    )
    assert {c.rule for c in judged(run).students[0].gate} == {"retained", "max_negative_flips"}
    assert judged(run).verdict == "FAIL"
    assert judged(run, **LOOSE).verdict == "PASS"
    assert {c.rule for c in judged(run, max_negative_flips=None).students[0].gate} == {"retained"}
    alone = judged(run, extends="nothing", agreement=0.5)
    assert [(c.rule, c.verdict) for c in alone.students[0].gate] == [("agreement", "PASS")]
    assert alone.verdict == "PASS"
    assert judged(run, retained=None, agreement=0.5).students[0].gate[0].rule != "retained"


def test_one_of_several_tasks_fails_only_after_holm(tmp_path: Path) -> None:
    weak = losing(0.083)  # alone it is surely above a ceiling of 5 %, as one of five tasks it is not
    many = {"t": task(weak), **{f"t{k}": task(losing(0.05), f"t{k}") for k in range(4)}}
    alone = judged(small_run(tmp_path / "alone", {"small": {"t": task(weak)}}), **LOOSE, max_drop=0.05)
    assert [c.verdict for c in checks(alone, "max_drop")] == ["FAIL"]
    found = checks(judged(small_run(tmp_path / "many", {"small": many}), **LOOSE, max_drop=0.05), "max_drop")
    assert found[0].verdict == "INCONCLUSIVE"
    assert "not after Holm over 5 tasks" in (found[0].reason or "")


def test_what_one_task_must_reach_stands_beside_what_all_must(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", {"small": {"a": task(losing(0.08), "a"), "b": task(losing(0.08), "b")}})
    own = {"max_negative_flips": 0.3, "floor": 0.5}
    result = judged(run, **LOOSE, max_negative_flips=0.02, tasks={"a": own})
    assert {(c.task, c.threshold, c.verdict) for c in checks(result, "max_negative_flips")} == {
        ("a", 0.3, "PASS"),
        ("b", 0.02, "FAIL"),
    }
    assert [(c.task, c.verdict) for c in checks(result, "task_floor")] == [("a", "PASS")]
    advisory = judged(run, **LOOSE, tasks={"b": {"max_negative_flips": 0.02, "floor": 0.99, "required": False}})
    assert [(c.verdict, c.required) for c in checks(advisory, "max_negative_flips")] == [("FAIL", False)]
    assert [c.required for c in checks(advisory, "task_floor")] == [False]
    assert advisory.verdict == "PASS"


def test_a_metric_that_is_not_the_tasks_main_one(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", {"small": {"t": task(losing(0.01), norm=losing(0.3))}})
    rules = {"metrics": {"acc_norm": {"floor": 0.9, "max_drop": 0.5}}, "floor": 0.9}
    result = judged(run, **LOOSE, tasks={"t": rules})
    assert {(c.task, c.metric, c.verdict) for c in result.students[0].gate if c.task} == {
        ("t", None, "PASS"),
        ("t (acc_norm)", "acc_norm", "FAIL"),
        ("t (acc_norm)", "acc_norm", "PASS"),
    }
    assert result.verdict == "FAIL"


def test_students_have_sections_by_name_and_pattern(tmp_path: Path) -> None:
    students = {name: {"t": task(losing(0.1))} for name in ("draft-1", "draft-2", "int8")}
    run = small_run(tmp_path / "run", students)
    sections = {"draft-*": {"retained": 0.99, "required": False}, "draft-2": {"retained": 0.3}}
    result = judged(run, **LOOSE, students=sections)
    seen = {s.name: (s.required, s.gate[0].threshold, s.verdict) for s in result.students}
    assert seen == {"draft-1": (False, 0.99, "FAIL"), "draft-2": (False, 0.3, "PASS"), "int8": (True, 0.3, "PASS")}
    assert result.verdict == "PASS"
    only = judged(run, extends="nothing", students={"int8": {"retained": 0.3, "task_floor": 0.3}})
    assert [s.required for s in only.students] == [False, False, True]
    assert only.verdict == "PASS"


@pytest.mark.parametrize(
    ("rules", "why"),
    [
        ({"max_delta_bpb": 0.1}, "no task reports bits per byte"),
        ({"max_kl": 0.1}, "no task reports the divergence"),
        ({"token_agreement": 0.9}, "no task reports the agreement on tokens"),
        ({"max_bias_transfer": 0.1}, "no task reports a bias rate"),
        ({"worst_group": 0.8}, "no group of 30 samples"),
        ({"tasks": {"t": {"max_kl": 0.1}}}, "this task has no such number"),
        ({"speedup": 1.1}, "latency was not measured"),
        ({"memory": 1.1}, "memory was not measured"),
        ({"energy": 1.1}, "energy was not measured"),
        ({"parameters": 2.0}, "number of parameters is not known"),
        ({"gap_recovered": 0.1}, "no control without the teacher"),
        ({"measured": [{"metric": "e2e_ms", "at_least": 1.1}]}, "was not measured"),
    ],
)
def test_a_number_that_is_missing_never_passes(tmp_path: Path, rules: dict[str, Any], why: str) -> None:
    run = small_run(tmp_path / "run", {"small": {"t": task(TEACHER)}})
    result = judged(run, **LOOSE, **rules)
    check = result.students[0].gate[-1]
    assert check.verdict == "INCONCLUSIVE"
    assert why in (check.reason or "")
    assert check.observed.value is None
    assert result.verdict == "INCONCLUSIVE"


def test_a_task_that_did_not_finish_is_undecided_even_without_retention(tmp_path: Path) -> None:
    students = {"small": {"t": task(TEACHER), "crashed": None}}
    teacher = {"t": task(TEACHER), "crashed": task(TEACHER, "crashed")}
    run = run_of(tmp_path / "run", {"big": teacher, **students})
    result = judged(run, extends="nothing", agreement=0.5)
    assert [(c.task, c.verdict) for c in result.students[0].gate] == [("t", "PASS"), ("crashed", "INCONCLUSIVE")]
    assert result.verdict == "INCONCLUSIVE"
    own = {"floor": 0.5, "agreement": 0.5, "worst_group": 0.5, "metrics": {"acc_norm": {"floor": 0.5}}}
    named = judged(run, extends="nothing", tasks={"crashed": own}).students[0].gate
    assert len(named) == 4
    assert {c.verdict for c in named} == {"INCONCLUSIVE"}
    assert all(c.required for c in named)
    advisory = judged(run, extends="nothing", tasks={"crashed": {**own, "required": False}}).students[0].gate
    assert len(advisory) == 4
    assert not any(c.required for c in advisory)


def test_groups_of_one_task_and_of_all(tmp_path: Path) -> None:
    scores = losing(0.2)
    groups = [{"region": "north" if i % 2 else "south"} for i in range(N)]
    sides = {"big": TEACHER, "small": scores}
    run = run_of(tmp_path / "run", {name: {"t": (rows(each, groups=groups), [ACC])} for name, each in sides.items()})
    assert [c.verdict for c in checks(judged(run, **LOOSE, worst_group=0.95), "worst_group")] == ["FAIL"]
    own = judged(run, **LOOSE, tasks={"t": {"worst_group": 0.3}})
    assert [(c.task, c.verdict) for c in checks(own, "worst_group")] == [("t", "PASS")]


# -- measurements -----------------------------------------------------------------------------------------------------


def measured(workload: str, hi: float, metric: str = "e2e_ms", meter: str = "latency", lo: float = 0.5) -> Measurement:
    ratio = Estimate(value=(lo + hi) / 2, lo=lo, hi=hi, n=9, method="by hand")
    return Measurement(
        meter=meter, metric=metric, unit="ms", workload=workload, higher_is_better=False, teacher=1.0, student=1.0,
        ratio=ratio, n=9, status="measured",
    )  # fmt: skip


def gate_of(
    rules: dict[str, Any],
    now: Sequence[Measurement],
    narrower: Sequence[Measurement] = (),
    gap: Estimate | None = None,
) -> list[GateCheck]:
    asked = asked_of_student(Policy.model_validate({"version": 1, "extends": "nothing", **rules}), GateSpec(), "small")
    score = SuiteScore(retained=Estimate(value=None, method="none", reason="by hand"), verdict="INCONCLUSIVE")
    sizes = {"bytes_on_disk": 2.0, "params_unique": 1.5}
    asked_at: list[float] = []

    def again(alpha: float) -> Sequence[Measurement]:
        asked_at.append(alpha)
        return narrower

    known = Student(score, now, again, sizes, Footprint(bytes_on_disk=1_000), gap)
    found = policy_gate(asked, Side([], [], [], [], 0.05), known)
    assert all(alpha < 0.05 for alpha in asked_at)
    return found


def test_a_measured_ratio_by_metric_and_workload() -> None:
    now = [measured("batch 1", 2.0, lo=1.5), measured("batch 8", 1.0)]
    rules = [
        {"metric": "e2e_ms", "workload": "batch 1", "at_least": 1.2},
        {"metric": "e2e_ms", "workload": "batch 8", "at_least": 1.2, "required": False},
        {"metric": "e2e_ms", "meter": "memory", "at_least": 1.2},
    ]
    found = gate_of({"measured": rules}, now)
    assert [(c.workload, c.verdict, c.required) for c in found] == [
        ("batch 1", "PASS", True),
        ("batch 8", "FAIL", False),
        (None, "INCONCLUSIVE", True),
    ]


def test_one_of_several_measurements_fails_only_after_holm() -> None:
    now = [measured("batch 1", 1.1), measured("batch 8", 1.1), measured("batch 32", 3.0, lo=2.0)]
    rules = {"measured": [{"metric": "e2e_ms", "at_least": 1.2}]}
    wide = [measured("batch 1", 1.15), measured("batch 8", 1.3), measured("batch 32", 3.1, lo=1.9)]
    found = gate_of(rules, now, wide)
    assert [c.verdict for c in found] == ["FAIL", "INCONCLUSIVE", "PASS"]
    assert "not after Holm over 3 measurements" in (found[1].reason or "")


def test_sizes_and_memory() -> None:
    now = [measured("batch 1", 2.0, "peak_bytes", "memory", lo=1.4), measured("batch 8", 1.0, "peak_bytes", "memory")]
    rules = {"memory": 1.3, "parameters": 1.5, "compression": 2.5, "max_bytes": 999}
    found = {c.rule: c for c in gate_of(rules, now)}
    assert {name: c.verdict for name, c in found.items()} == {
        "memory": "PASS",
        "parameters": "PASS",
        "compression": "FAIL",
        "max_bytes": "FAIL",
    }
    assert (found["memory"].workload, found["max_bytes"].direction) == ("batch 1", "at_most")
    assert gate_of({"max_bytes": 1_000}, [])[0].verdict == "PASS"


@pytest.mark.parametrize(
    ("lo", "hi", "n", "status", "verdict"),
    [
        (0.3, 0.6, 600, "ok", "PASS"),
        (-0.2, 0.1, 600, "ok", "FAIL"),
        (0.1, 0.6, 600, "ok", "INCONCLUSIVE"),
        (0.3, 0.6, 60, "ok", "INCONCLUSIVE"),
        (None, None, 600, "no_gap", "INCONCLUSIVE"),
    ],
)
def test_the_gap_to_the_control(lo: float | None, hi: float | None, n: int, status: str, verdict: str) -> None:
    value = None if lo is None or hi is None else (lo + hi) / 2
    gap = Estimate(
        value=value, lo=lo, hi=hi, n=n, method="fieller_t", status=status, reason=None if value else "no gap"
    )
    (check,) = gate_of({"gap_recovered": {"threshold": 0.2, "required": False}}, [], gap=gap)
    assert (check.verdict, check.required) == (verdict, False)
    assert ("60 samples are below the floor of 100" in (check.reason or "")) == (n == 60)
