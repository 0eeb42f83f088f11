"""From records to verdicts: the joins, the refusals and the conjunctions, on records written by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from distbench.compare.evidence import Evaluated
from distbench.compare.measurements import compare_measurements, headline_speedup
from distbench.compare.tasks import compare_task
from distbench.compare.verdicts import gate_checks, student_verdict, suite_score, worst
from distbench.protocols import Sample
from distbench.schema.cell import EvaluateCell, ModelRef
from distbench.schema.record import EvaluateResult, Footprint, MetricFacts, Series
from distbench.schema.suite import GateSpec, TaskSpec
from distbench.store.samples import write_samples
from tests.conftest import CPU


def evaluated(folder: Path, scores: list[float | None], **changes: Any) -> Evaluated:
    folder.mkdir(parents=True)
    ids = changes.pop("ids", range(len(scores)))
    answers = changes.pop("answers", str(folder))
    rows = [
        Sample(
            "t", str(i), "acc", s, status="ok" if s is not None else "error", prediction=str(s), label="1.0", prompt="p"
        )
        for i, s in zip(ids, scores, strict=True)
    ]
    write_samples(folder / "samples.parquet", rows)
    facts = MetricFacts(
        name="acc", primary=True, kind="binary", higher_is_better=True, baseline=0.25, best=1.0, n=len(rows), mean=None
    )
    result = EvaluateResult(
        task="t", task_version=changes.pop("version", "1"), engine="e", data_digest=changes.pop("data", "d"),
        prompt_digest=changes.pop("prompts", "p"), metrics=[facts], footprint=Footprint(), answers_digest=answers,
    )  # fmt: skip
    ref = ModelRef(name="m", role="student", use="x", identity=str(folder))
    cell = EvaluateCell(id="0", title="t", needs=[], model=ref, task=TaskSpec(use="x", name="t"), settings=CPU)
    return Evaluated(cell, result, (folder / "samples.parquet",))


def compare(teacher: Evaluated, student: Evaluated, control: Evaluated | None = None, floor: float = 0.9) -> Any:
    return compare_task(teacher, student, control, floor=floor, alpha=0.05, weight=1.0)


GOOD = [1.0] * 90 + [0.0] * 10


def test_identical_answers_retain_exactly_everything(tmp_path: Path) -> None:
    result = compare(evaluated(tmp_path / "t", GOOD, answers="a"), evaluated(tmp_path / "s", GOOD, answers="a")).result
    assert (result.retained.lo, result.retained.hi, result.verdict) == (1.0, 1.0, "PASS")


def test_equal_correctness_is_not_identity(tmp_path: Path) -> None:
    result = compare(evaluated(tmp_path / "t", GOOD), evaluated(tmp_path / "s", GOOD)).result
    assert result.retained.value == 1.0
    assert result.retained.lo < 1.0 < result.retained.hi


def test_samples_are_joined_by_id_not_by_position(tmp_path: Path) -> None:
    backwards = evaluated(tmp_path / "s", GOOD[::-1], ids=range(99, -1, -1))
    result = compare(evaluated(tmp_path / "t", GOOD), backwards).result
    assert (result.fidelity.negative_flips.value, result.fidelity.positive_flips.value) == (0.0, 0.0)


def test_an_error_counts_as_wrong(tmp_path: Path) -> None:
    student = evaluated(tmp_path / "s", [None] * 10 + GOOD[10:])
    compared = compare(evaluated(tmp_path / "t", GOOD), student)
    assert compared.result.student == pytest.approx(0.8)
    assert compared.pair.errors == 10


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "2"}, "task versions differ"),
        ({"data": "x"}, "data differs"),
        ({"prompts": "x"}, "prompts differ"),
        ({"ids": range(50, 150)}, "only 50 of 100"),
    ],
)
def test_what_cannot_be_compared_is_invalid(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    compared = compare(evaluated(tmp_path / "t", GOOD), evaluated(tmp_path / "s", GOOD, **changes))
    assert compared.result.verdict == "INVALID"
    assert message in compared.result.reason
    assert compared.result.retained.value is None
    score = suite_score([compared], GateSpec(), [])
    assert (score.verdict, score.retained.value) == ("INVALID", None)


def test_a_teacher_at_chance_has_no_signal(tmp_path: Path) -> None:
    chance = [1.0] * 25 + [0.0] * 75
    compared = compare(evaluated(tmp_path / "t", chance), evaluated(tmp_path / "s", GOOD))
    assert (compared.result.verdict, compared.result.retained.value) == ("NO_SIGNAL", None)
    assert suite_score([compared], GateSpec(), []).verdict == "NO_SIGNAL"


def test_an_undecided_task_says_what_would_decide(tmp_path: Path) -> None:
    student = [1.0] * 84 + [0.0] * 16
    result = compare(evaluated(tmp_path / "t", GOOD), evaluated(tmp_path / "s", student), floor=0.9).result
    assert result.verdict == "INCONCLUSIVE"
    assert "would decide" in result.reason or "cannot decide" in result.reason


def test_gap_recovered_needs_the_control(tmp_path: Path) -> None:
    teacher, control = evaluated(tmp_path / "t", [1.0] * 100), evaluated(tmp_path / "c", [1.0] * 40 + [0.0] * 60)
    student = evaluated(tmp_path / "s", [1.0] * 70 + [0.0] * 30)
    assert compare(teacher, student).result.gap_recovered is None
    gap = compare(teacher, student, control).result.gap_recovered
    assert gap.value == pytest.approx(0.5)
    assert gap.lo < 0.5 < gap.hi


def test_a_missing_task_never_passes(tmp_path: Path) -> None:
    same = compare(evaluated(tmp_path / "t", GOOD, answers="a"), evaluated(tmp_path / "s", GOOD, answers="a"))
    assert suite_score([same], GateSpec(), []).verdict == "PASS"
    assert suite_score([same], GateSpec(), ["other"]).verdict == "INCONCLUSIVE"
    assert suite_score([], GateSpec(), []).verdict == "INCONCLUSIVE"


def test_conjunctions_take_the_worst_and_nothing_is_no_pass() -> None:
    assert worst(["PASS", "PASS"]) == "PASS"
    assert worst(["PASS", "INCONCLUSIVE"]) == "INCONCLUSIVE"
    assert worst(["FAIL", "INCONCLUSIVE"]) == "FAIL"
    assert worst([]) == "INCONCLUSIVE"


def series(model: str, values: list[float], workload: str = "batch 1") -> Series:
    n = len(values)
    return Series(
        model=model, meter="latency", metric="e2e_ms", unit="ms", higher_is_better=False, workload=workload,
        values=values,
        launch=[0] * n, pair=list(range(n)),
    )  # fmt: skip


def test_speedup_is_the_median_of_paired_ratios() -> None:
    both = [series("t", [10.0, 20.0, 40.0, 10.0, 10.0]), series("s", [5.0, 10.0, 20.0, 5.0, 5.0])]
    (found,) = compare_measurements(both, "t", "s", 0.05)
    assert (found.ratio.value, found.ratio.lo, found.ratio.hi) == (2.0, 2.0, 2.0)
    assert (found.teacher, found.student, found.n) == (10.0, 5.0, 5)


def test_the_gate_on_speed_uses_the_smallest_batch_and_misses_nothing() -> None:
    rows = [
        series("t", [9.0] * 5, "batch 8"),
        series("s", [1.0] * 5, "batch 8"),
        series("t", [4.0] * 5),
        series("s", [4.0] * 5),
    ]
    measurements = compare_measurements(rows, "t", "s", 0.05)
    headline = headline_speedup(measurements)
    assert headline is not None
    assert headline.workload == "batch 1"
    score = suite_score([], GateSpec(), [])
    verdicts = {
        c.rule: c.verdict for c in gate_checks(score, measurements, 2.0, GateSpec(speedup=1.5, compression=2.0))
    }
    assert verdicts == {"retained": "INCONCLUSIVE", "speedup": "FAIL", "compression": "PASS"}
    unmeasured = gate_checks(score, [], None, GateSpec(speedup=1.5, compression=2.0))
    assert {c.verdict for c in unmeasured} == {"INCONCLUSIVE"}
    assert student_verdict(unmeasured)[0] == "INCONCLUSIVE"


def test_a_side_that_could_not_be_measured_has_a_reason_and_no_number() -> None:
    lost = series("s", []).model_copy(update={"status": "not_measurable", "reason": "no counter"})
    (found,) = compare_measurements([series("t", [1.0] * 5), lost], "t", "s", 0.05)
    assert (found.status, found.student, found.ratio.value) == ("not_measurable", None, None)
    assert "no counter" in (found.reason or "")


def test_a_sample_that_comes_twice_is_refused(tmp_path: Path) -> None:
    from distbench.errors import RefusedError

    twice = evaluated(tmp_path / "t", GOOD, ids=[0, *range(99)])
    with pytest.raises(RefusedError, match="sample 0 occurs twice"):
        twice.side("acc")
