"""Assertions about a run: decided by interval ends, with a message that says what would decide."""

from __future__ import annotations

import unittest
from pathlib import Path

import pytest

import distbench
from distbench.compare.verdicts import threshold_check
from distbench.errors import UsageError
from distbench.schema.estimate import Estimate
from distbench.schema.result import Result
from distbench.testing import (
    InconclusiveWarning,
    assert_less_energy,
    assert_less_memory,
    assert_lost_at_most,
    assert_passes_gate,
    assert_retained,
    assert_smaller,
    assert_speedup,
)
from tests.report.made.estimates import estimate
from tests.report.made.results import result_of
from tests.report.made.students import five_students, off_range


@pytest.fixture(scope="module")
def result() -> Result:
    return result_of([*five_students(), off_range()])


def test_retained_passes_at_the_lower_limit_and_not_above(result: Result) -> None:
    student = next(each for each in result.students if each.name == "soft-23-layers")
    assert student.suite.retained.lo is not None
    assert_retained(result, student.name, margin=student.suite.retained.lo)
    assert_retained(distbench.Run(result=result), student.name)
    with pytest.raises(AssertionError) as caught:
        assert_retained(result, student.name, margin=student.suite.retained.lo + 1e-6)
    said = str(caught.value).replace("\u00a0", " ")
    assert "23 layers, soft labels retains 97.9 % [96.5" in said
    assert "n = 1,800" in said
    assert "INCONCLUSIVE: the interval" in said
    assert "samples would decide (now 1,800); expect PASS" in said


def test_retained_on_a_task(result: Result) -> None:
    with pytest.raises(AssertionError, match="FAIL: upper limit") as caught:
        assert_retained(result, "depth-12", "topic", margin=0.9)
    assert "on topic, n" in str(caught.value)
    assert_retained(result, "depth-12", "blimp-agreement", margin=0.9)
    with pytest.raises(AssertionError, match=r"NO_SIGNAL: the teacher .* is not significantly above chance"):
        assert_retained(result, "soft-23-layers", "riddles")


def test_what_cannot_be_decided_is_as_the_caller_says(result: Result) -> None:
    asked = (result, "hostile", None, 0.955)
    with pytest.raises(AssertionError, match="INCONCLUSIVE"):
        assert_retained(*asked)
    with pytest.raises(unittest.SkipTest, match="INCONCLUSIVE"):
        assert_retained(*asked, on_inconclusive="skip")
    with pytest.warns(InconclusiveWarning, match="INCONCLUSIVE"):
        assert_retained(*asked, on_inconclusive="warn")
    with pytest.raises(UsageError, match="fail, skip, warn"):
        assert_retained(*asked, on_inconclusive="pass")  # type: ignore[arg-type]
    with pytest.raises((AssertionError, unittest.SkipTest), match="INVALID") as caught:
        assert_retained(result, "from-scratch", on_inconclusive="skip")
    assert caught.type is AssertionError  # a fault is no lack of samples; a skip would skip this test too
    with pytest.raises(AssertionError, match="FAIL"):
        assert_retained(result, "tiny", on_inconclusive="warn")


def test_an_unfinished_task_does_not_pass(result: Result) -> None:
    teacher = result.teachers[0]
    scores = {**teacher.scores, "unfinished": None}
    more = result.model_copy(update={"teachers": [teacher.model_copy(update={"scores": scores})]})
    with pytest.raises(AssertionError, match="INCONCLUSIVE: unfinished did not finish"):
        assert_retained(more, "soft-23-layers")
    with pytest.raises(AssertionError, match="unfinished did not finish"):
        assert_lost_at_most(more, "soft-23-layers", 0.5)


def test_too_few_samples_decide_nothing(result: Result) -> None:
    student = result.students[0]
    few = student.suite.retained.model_copy(update={"too_few": "5 clusters are below the floor of 10"})
    score = student.suite.model_copy(update={"retained": few})
    changed = result.model_copy(update={"students": [student.model_copy(update={"suite": score})]})
    with pytest.raises(AssertionError, match="INCONCLUSIVE: 5 clusters are below the floor of 10"):
        assert_retained(changed, student.name, margin=0.5)


def test_the_gate_of_the_run(result: Result) -> None:
    assert_passes_gate(result)
    assert_passes_gate(result, "soft-23-int8")
    with pytest.raises(AssertionError, match="12 layers does not pass the gate") as caught:
        assert_passes_gate(result, "depth-12")
    assert "FAIL retained ≥ 0.95" in str(caught.value)
    with pytest.raises(unittest.SkipTest, match="cannot be said to pass"):
        assert_passes_gate(result, "hostile", on_inconclusive="skip")
    with pytest.raises(AssertionError, match="does not pass"):
        assert_passes_gate(result.model_copy(update={"verdict": "FAIL"}))


@pytest.mark.parametrize("threshold", [1.1, 1.187, 1.3])
def test_speed_is_decided_as_the_gate_decides(result: Result, threshold: float) -> None:
    student = next(each for each in result.students if each.name == "soft-23-layers")
    ratio = next(each.ratio for each in student.measurements if each.metric == "e2e_ms")
    if threshold_check("speedup", threshold, ratio).verdict == "PASS":
        assert_speedup(result, student.name, threshold)
    else:
        with pytest.raises(AssertionError, match=threshold_check("speedup", threshold, ratio).verdict):
            assert_speedup(result, student.name, threshold)


def test_other_measures(result: Result) -> None:
    assert_speedup(result, "soft-23-layers", 1.0, metric="ttft_ms", workload="batch 1")
    assert_less_memory(result, "soft-23-layers", 1.05)
    assert_less_energy(result, "soft-23-layers", 1.1)
    assert_smaller(result, "soft-23-int8", 3.9)
    assert_lost_at_most(result, "soft-23-layers", 0.06)
    assert_lost_at_most(result, "soft-23-layers", 0.053, task="topic")
    with pytest.raises(AssertionError, match="has no ratio"):
        assert_less_memory(result, "soft-23-int8", 1.0)
    with pytest.raises(AssertionError, match=r"INCONCLUSIVE: estimated|INCONCLUSIVE: assumed power"):
        assert_less_energy(result, "soft-23-int8", 1.0)
    with pytest.raises(AssertionError, match="INCONCLUSIVE: latency was not measured"):
        assert_speedup(result, "from-scratch")
    with pytest.raises(AssertionError, match=r"FAIL: upper limit 3\.9200 < 4"):
        assert_smaller(result, "soft-23-int8", 4)
    with pytest.raises(AssertionError, match="INCONCLUSIVE: the size on disk is not known"):
        assert_smaller(result, "from-scratch", 1)
    with pytest.raises(AssertionError, match="expect PASS"):
        assert_lost_at_most(result, "soft-23-layers", 0.05)
    with pytest.raises(AssertionError, match="FAIL: lower limit"):
        assert_lost_at_most(result, "soft-23-layers", 0.01)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda r: assert_retained(r, "tinny"), "did you mean 'tiny'"),
        (lambda r: assert_retained(r, "tiny", "topics"), "did you mean 'topic'"),
        (lambda r: assert_retained(r, "tiny", margin=95), "0.95 means 95 %"),
        (lambda r: assert_speedup(r, "tiny", metric="e2e"), "did you mean 'e2e_ms'"),
        (lambda r: assert_speedup(r, "tiny", metric="e2e_ms", workload="batch 2"), "did you mean 'batch 1'"),
        (lambda r: assert_smaller(r, "tiny", kind="bytes"), "no kind of size"),
        (lambda r: assert_lost_at_most(r, "tiny", 5), "0.05 means 5 %"),
        (lambda r: assert_passes_gate(r, "nobody"), "no student is called 'nobody'"),
    ],
)
def test_a_name_that_is_not_there_is_an_error(result: Result, call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(UsageError, match=words):
        call(result)


def test_a_path_is_a_run_too(result: Result, tmp_path: Path) -> None:
    plain = result_of(five_students()[:1])
    (tmp_path / "result.json").write_text(plain.model_dump_json(), encoding="utf-8")
    assert_retained(tmp_path / "result.json", "soft-23-layers")
    assert_retained(str(tmp_path / "result.json"), "soft-23-layers")
    with pytest.raises(UsageError, match="no run at"):
        assert_retained(tmp_path / "nothing", "soft-23-layers")


def test_an_unbounded_interval_says_what_it_lacks(result: Result) -> None:
    wide = Estimate(value=0.96, lo=None, hi=None, n=12, method="fieller_t", reason="unbounded")
    student = result.students[0]
    changed = student.model_copy(update={"suite": student.suite.model_copy(update={"retained": wide})})
    with pytest.raises(AssertionError, match="a bounded interval is needed"):
        assert_retained(result.model_copy(update={"students": [changed]}), student.name)
    exact = changed.model_copy(update={"suite": student.suite.model_copy(update={"retained": estimate(0.95, 0.01)})})
    with pytest.raises(AssertionError, match="no number of samples would decide"):
        assert_retained(result.model_copy(update={"students": [exact]}), student.name)
