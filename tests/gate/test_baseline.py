"""Not worse than an earlier run: paired where that can be, refused where the two are not about the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distbench.cli.gating import Terms, decided
from distbench.compare.run import compare
from distbench.errors import UsageError
from distbench.gate.text import text
from distbench.schema.decision import Decision, RuleDecision
from distbench.store.run_dir import RunDir
from tests.compare.records import ACC, rows, run_of
from tests.gate.runs import TEACHER, losing, small_run, task, write_policy

LOOSE = {"retained": 0.3, "task_floor": 0.3}


def pair_of_runs(tmp_path: Path, now: list[float], then: list[float], names: tuple[str, ...] = ("t",)) -> Path:
    """Write two runs of the same tasks and samples; return the later one."""
    for folder, scores in (("then", then), ("now", now)):
        small_run(tmp_path / folder, {"small": {name: task(scores, name) for name in names}})
    return tmp_path / "now"


def decision(run: Path, tmp_path: Path, earlier: Path | None, /, **rules: Any) -> Decision:
    return decided(run, Terms(write_policy(tmp_path / "policy.yaml", **LOOSE, **rules), earlier))


def of(found: Decision, rule: str) -> list[RuleDecision]:
    return [each for each in found.rules["small"] if each.rule == rule]


@pytest.mark.parametrize(
    ("lost_then", "lost_now", "margin", "verdict"),
    [
        (0.10, 0.10, 0.02, "PASS"),
        (0.05, 0.25, 0.02, "FAIL"),
        (0.10, 0.11, 0.02, "INCONCLUSIVE"),
        (0.20, 0.10, 0.02, "PASS"),
    ],
)
def test_what_is_retained_may_be_so_much_lower(
    tmp_path: Path, lost_then: float, lost_now: float, margin: float, verdict: str
) -> None:
    now = pair_of_runs(tmp_path, losing(lost_now), losing(lost_then))
    found = decision(now, tmp_path, tmp_path / "then", baseline={"retained": margin})
    (rule,) = of(found, "baseline_retained")
    assert (rule.verdict, rule.threshold, rule.direction) == (verdict, -margin, "at_least")
    assert rule.observed.value == pytest.approx((lost_then - lost_now) / (0.8 - 0.25), abs=1e-9)
    assert found.verdict == verdict
    rules = {"retained": {"threshold": margin, "required": False}}
    advisory = decision(now, tmp_path, tmp_path / "then", baseline=rules)
    assert advisory.verdict == "PASS"


def test_pairing_by_sample_is_sharper_and_a_document_cannot_pair(tmp_path: Path) -> None:
    now = pair_of_runs(tmp_path, losing(0.11), losing(0.10))
    document = tmp_path / "result.json"
    document.write_text(compare(RunDir.existing(tmp_path / "then")).model_dump_json(), encoding="utf-8")
    paired = decision(now, tmp_path, tmp_path / "then", baseline={"retained": 0.02})
    alone = decision(now, tmp_path, document, baseline={"retained": 0.02})
    widths = []
    for found in (paired, alone):
        (rule,) = of(found, "baseline_retained")
        assert rule.observed.lo is not None
        assert rule.observed.hi is not None
        widths.append(rule.observed.hi - rule.observed.lo)
    assert widths[0] < 0.9 * widths[1]
    assert "paired sample by sample" in text(paired)
    assert "as two unrelated measurements" in text(alone)
    assert "; not paired" in text(alone)
    assert alone.baseline is not None
    assert any("only the result document was given" in note for note in alone.baseline.notes)


def test_one_of_several_tasks_fails_only_after_holm(tmp_path: Path) -> None:
    names = ("a", "b", "c", "d", "e")
    then = {name: task(losing(0.05), name) for name in names}
    small_run(tmp_path / "then", {"small": then})
    small_run(tmp_path / "now", {"small": {**then, "a": task(losing(0.08), "a")}})
    found = decision(tmp_path / "now", tmp_path, tmp_path / "then", baseline={"tasks": 0.02})
    rows = of(found, "baseline_task")
    assert [rule.task for rule in rows] == list(names)
    assert rows[0].observed.hi is not None
    assert rows[0].observed.hi < -0.02
    assert rows[0].verdict == "INCONCLUSIVE"
    assert "not after Holm over 5 tasks" in (rows[0].reason or "")
    small_run(tmp_path / "worse", {"small": {**then, "a": task(losing(0.3), "a")}})
    worse = decision(tmp_path / "worse", tmp_path, tmp_path / "then", baseline={"tasks": 0.02})
    assert of(worse, "baseline_task")[0].verdict == "FAIL"


def test_without_rules_two_points_are_asked(tmp_path: Path) -> None:
    now = pair_of_runs(tmp_path, losing(0.25), losing(0.05))
    found = decided(now, Terms(baseline=tmp_path / "then"))
    assert [(rule.rule, rule.threshold, rule.verdict) for rule in of(found, "baseline_retained")] == [
        ("baseline_retained", -0.02, "FAIL")
    ]
    assert found.baseline is not None
    assert found.baseline.source == str(tmp_path / "then")


def test_the_policy_may_name_the_run_and_another_student(tmp_path: Path) -> None:
    small_run(tmp_path / "then", {"old": {"t": task(losing(0.05))}})
    small_run(tmp_path / "now", {"small": {"t": task(losing(0.05))}})
    unmatched = decision(tmp_path / "now", tmp_path, None, baseline={"run": "then", "retained": 0.02})
    assert [rule.verdict for rule in of(unmatched, "baseline_retained")] == ["INCONCLUSIVE"]
    assert "no such student" in text(unmatched)
    named = decision(tmp_path / "now", tmp_path, None, baseline={"run": "then", "retained": 0.02, "student": "old"})
    assert [rule.verdict for rule in of(named, "baseline_retained")] == ["PASS"]
    with pytest.raises(UsageError, match="no student 'olt'; did you mean 'old'"):
        decision(tmp_path / "now", tmp_path, None, baseline={"run": "then", "retained": 0.02, "student": "olt"})


def test_rules_without_a_baseline_never_pass(tmp_path: Path) -> None:
    run = small_run(tmp_path / "now", {"small": {"t": task(TEACHER)}})
    rules = {"retained": 0.02, "tasks": 0.1, "speedup": 0.9, "compression": 0.9}
    found = decision(run.path, tmp_path, None, baseline=rules)
    assert [rule.verdict for rule in found.rules["small"][1:]] == ["INCONCLUSIVE"] * 4
    assert found.verdict == "INCONCLUSIVE"
    assert "name one with --baseline" in text(found)


def test_sizes_and_what_was_not_measured(tmp_path: Path) -> None:
    for folder, size in (("then", 50), ("now", 80)):
        small_run(tmp_path / folder, {"small": {"t": task(TEACHER)}}, sizes={"big": 100, "small": size})
    found = decision(tmp_path / "now", tmp_path, tmp_path / "then", baseline={"compression": 0.9, "speedup": 0.9})
    assert {rule.rule: rule.verdict for rule in found.rules["small"][1:]} == {
        "baseline_compression": "FAIL",
        "baseline_speedup": "INCONCLUSIVE",
    }
    assert of(found, "baseline_compression")[0].observed.value == pytest.approx(1.25 / 2)


def test_a_baseline_of_another_teacher_is_refused(tmp_path: Path) -> None:
    run_of(tmp_path / "then", {"huge": {"t": task(TEACHER)}, "small": {"t": task(TEACHER)}})
    now = small_run(tmp_path / "now", {"small": {"t": task(TEACHER)}}).path
    with pytest.raises(UsageError, match=r"another teacher \(huge, content id-huge\).*\(big, content id-big\)"):
        decision(now, tmp_path, tmp_path / "then", baseline={"compression": 0.9})
    run_of(tmp_path / "foreign", {"huge": {"t": task(TEACHER)}, "other": {"t": task(TEACHER)}})
    with pytest.raises(UsageError, match="none of this run's teachers"):
        decision(now, tmp_path, tmp_path / "foreign", baseline={"compression": 0.9})


def test_a_baseline_of_other_tasks_or_data_is_refused(tmp_path: Path) -> None:
    now = small_run(tmp_path / "now", {"small": {"t": task(TEACHER), "u": task(TEACHER, "u")}}).path
    small_run(tmp_path / "then", {"small": {"t": task(TEACHER), "v": task(TEACHER, "v")}})
    with pytest.raises(UsageError, match=r"asked other tasks \(only here: u; only there: v\)"):
        decision(now, tmp_path, tmp_path / "then", baseline={"retained": 0.02})
    found = decision(now, tmp_path, tmp_path / "then", baseline={"compression": 0.9})  # not about tasks
    assert found.verdict == "PASS"
    document = compare(RunDir.existing(now))
    asked = document.students[0].tasks[0].asked.model_copy(update={"version": "7", "data": "d"})
    tasks = [document.students[0].tasks[0].model_copy(update={"asked": asked}), *document.students[0].tasks[1:]]
    student = document.students[0].model_copy(update={"tasks": tasks})
    other = tmp_path / "other.json"
    other.write_text(document.model_copy(update={"students": [student]}).model_dump_json(), encoding="utf-8")
    with pytest.raises(UsageError, match=r"another version of t \(7 there, 1 here\)"):
        decision(now, tmp_path, other, baseline={"retained": 0.02})


def test_few_samples_decide_nothing(tmp_path: Path) -> None:
    few = {"small": {"t": (rows([1.0] * 60), [ACC])}}
    teacher = {"big": {"t": (rows([1.0] * 55 + [0.0] * 5), [ACC])}}
    for folder, student in (("then", few), ("now", {"small": {"t": (rows([1.0] * 30 + [0.0] * 30), [ACC])}})):
        run_of(tmp_path / folder, {**teacher, **student})
    found = decision(tmp_path / "now", tmp_path, tmp_path / "then", baseline={"retained": 0.02})
    (rule,) = of(found, "baseline_retained")
    assert rule.observed.hi is not None
    assert rule.observed.hi < -0.3
    assert rule.verdict == "INCONCLUSIVE"
    assert "60 samples are below the floor of 100" in (rule.reason or "")
