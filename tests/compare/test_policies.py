"""The policies of the gate: each rule passes, fails and stays undecided for its own reason; no number never passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distbench import stats
from distbench.compare.policies import asked_of, at_most, floor_of, policy_checks
from distbench.compare.run import compare
from distbench.compare.tasks import compare_task
from distbench.errors import ExitCode
from distbench.gate.decision import decide
from distbench.gate.exit import exit_code
from distbench.gate.text import text
from distbench.protocols import Sample
from distbench.schema.record import MetricFacts
from distbench.schema.result import GateCheck, Result
from distbench.schema.suite import GateSpec
from tests.compare.records import ACC, Recorded, evaluated, rows, run_of

N = 1000
TEACHER = [1.0] * 800 + [0.0] * 200


def losing(share: float) -> list[float]:
    """A student that loses this share of all items, evenly, and wins none."""
    lost = set(np.linspace(0, 799, round(share * N)).astype(int).tolist())
    return [0.0 if i in lost else score for i, score in enumerate(TEACHER)]


def compared(tmp_path: Path, student: dict[str, Recorded | None], gate: dict[str, Any], **teacher: Any) -> Result:
    sides = {"big": {"t": (rows(TEACHER), [ACC]), **teacher}, "small": student}
    return compare(run_of(tmp_path / "run", sides, gate))


def checks(result: Result, rule: str) -> list[GateCheck]:
    return [check for check in result.students[0].gate if check.rule == rule]


@pytest.mark.parametrize(
    ("share", "ceiling", "verdict"), [(0.01, 0.05, "PASS"), (0.2, 0.05, "FAIL"), (0.05, 0.05, "INCONCLUSIVE")]
)
def test_a_ceiling_on_lost_answers(tmp_path: Path, share: float, ceiling: float, verdict: str) -> None:
    gate = {"max_negative_flips": ceiling, "retained": 0.5, "task_floor": 0.5}
    result = compared(tmp_path, {"t": (rows(losing(share)), [ACC])}, gate)
    (check,) = checks(result, "max_negative_flips")
    assert (check.task, check.verdict, check.direction, check.sign) == ("t", verdict, "at_most", "≤")
    assert check.observed.value == pytest.approx(share)
    assert result.verdict == verdict
    said = text(decide(result))
    assert f"  {verdict:<13} answers lost (teacher right, student wrong): t ≤ 5\xa0%: " in said
    assert f"  {'PASS':<13} retained over all tasks ≥ 50\xa0%: " in said


def test_one_of_several_tasks_fails_only_after_holm(tmp_path: Path) -> None:
    weak = losing(0.066)  # p is 0.011 against a ceiling of 0.05: one task alone would fail, one of five does not
    tasks = {f"t{k}": (rows(losing(0.05), task=f"t{k}"), [ACC]) for k in range(4)}
    teacher = {f"t{k}": (rows(TEACHER, task=f"t{k}"), [ACC]) for k in range(4)}
    gate = {"max_negative_flips": 0.05, "retained": 0.5, "task_floor": 0.5}
    alone = compared(tmp_path / "alone", {"t": (rows(weak), [ACC])}, gate)
    assert [check.verdict for check in checks(alone, "max_negative_flips")] == ["FAIL"]
    many = compared(tmp_path / "many", {"t": (rows(weak), [ACC]), **tasks}, gate, **teacher)
    first = checks(many, "max_negative_flips")[0]
    assert (first.task, first.verdict) == ("t", "INCONCLUSIVE")
    assert "not after Holm over 5 tasks" in (first.reason or "")


@pytest.mark.parametrize(
    ("gate", "why"),
    [
        ({"max_delta_bpb": 0.1}, "no task reports bits per byte"),
        ({"max_bias_transfer": 0.1}, "no task reports a bias rate"),
        ({"max_kl": 0.1}, "no task reports the divergence"),
        ({"worst_group": 0.8}, "no group of 30 samples"),
    ],
)
def test_a_rule_without_its_number_is_undecided(tmp_path: Path, gate: dict[str, Any], why: str) -> None:
    result = compared(tmp_path, {"t": (rows(TEACHER), [ACC])}, gate)
    (check,) = checks(result, next(iter(gate)))
    assert check.verdict == "INCONCLUSIVE"
    assert why in (check.reason or "")
    assert check.observed.value is None
    assert exit_code(result) == ExitCode.INCONCLUSIVE


def test_floors_of_single_tasks(tmp_path: Path) -> None:
    student = {
        "t": (rows(losing(0.05)), [ACC]),
        "hard": (rows(losing(0.4), task="hard"), [ACC]),
    }
    teacher = {"hard": (rows(TEACHER, task="hard"), [ACC])}
    low: dict[str, Any] = {"retained": 0.1, "task_floor": 0.1}
    gate = low | {"tasks": {"t": {"floor": 0.8}, "hard": {"floor": 0.9}}}
    result = compared(tmp_path / "a", student, gate, **teacher)
    assert {check.task: check.verdict for check in checks(result, "task_floor")} == {"t": "PASS", "hard": "FAIL"}
    assert result.verdict == "FAIL"
    assert result.task_floors == {"t": 0.8, "hard": 0.9}
    advisory = low | {"tasks": {"t": {"floor": 0.8}, "hard": {"floor": 0.9, "required": False}}}
    shown = compared(tmp_path / "b", student, advisory, **teacher)
    assert {check.task: (check.verdict, check.required) for check in checks(shown, "task_floor")} == {
        "t": ("PASS", True),
        "hard": ("FAIL", False),
    }
    assert shown.verdict == "PASS"
    assert "retained: hard ≥ 90\xa0% (advisory)" in text(decide(shown))


def test_every_task_must_pass_where_the_suite_says_so(tmp_path: Path) -> None:
    unsure = losing(0.07)
    student = {"t": (rows(TEACHER), [ACC]), "other": (rows(unsure[:600] + unsure[800:], task="other"), [ACC])}
    teacher = {"other": (rows(TEACHER[:600] + TEACHER[800:], task="other"), [ACC])}
    gate = {"retained": 0.9, "task_floor": 0.88}
    default = compared(tmp_path / "a", student, gate, **teacher)
    every = compared(tmp_path / "b", student, gate | {"suite_rule": "every_task"}, **teacher)
    assert default.students[0].tasks[1].verdict == "INCONCLUSIVE"
    assert (default.verdict, every.verdict, every.suite_rule) == ("PASS", "INCONCLUSIVE", "every_task")


@pytest.mark.parametrize(("lost", "verdict"), [(0, "PASS"), (200, "FAIL"), (55, "INCONCLUSIVE")])
def test_a_floor_for_every_group(tmp_path: Path, lost: int, verdict: str) -> None:
    groups = [{"dialect": "a" if i % 2 else "b"} for i in range(N)]
    student = [0.0 if i % 2 and i < 2 * lost else score for i, score in enumerate(TEACHER)]
    student[998] = 1.0  # the answers are not all the teacher's
    gate = {"worst_group": 0.8, "retained": 0.1, "task_floor": 0.1}
    result = compared(
        tmp_path, {"t": (rows(student, groups=groups), [ACC])}, gate, t=(rows(TEACHER, groups=groups), [ACC])
    )
    (check,) = checks(result, "worst_group")
    assert check.verdict == verdict
    assert (check.observed.n, check.sign) == (500, "≥")
    if lost:
        assert "dialect=a" in (check.reason or "")


BPB = MetricFacts(
    name="bits_per_byte", primary=True, kind="ratio_of_sums", higher_is_better=False, baseline=0.0, best=0.0, n=0,
    mean=None,
)  # fmt: skip


def documents(rate: float, count: int = 150) -> list[Sample]:
    random = np.random.default_rng(2)
    sizes = random.integers(200, 2000, count).astype(float)
    bits = sizes * (rate + np.random.default_rng(round(rate * 1000)).normal(0, 0.02, count))
    return rows(
        (bits / sizes).tolist(), metric="bits_per_byte", task="wiki", numerator=bits.tolist(),
        denominator=sizes.tolist(), prediction=[""] * count,
    )  # fmt: skip


@pytest.mark.parametrize(("rate", "verdict"), [(0.93, "PASS"), (1.0, "FAIL"), (0.95, "INCONCLUSIVE")])
def test_bits_per_byte_decide_alone_where_nothing_can_be_retained(tmp_path: Path, rate: float, verdict: str) -> None:
    sides = {"big": {"wiki": (documents(0.9), [BPB])}, "small": {"wiki": (documents(rate), [BPB])}}
    result = compare(run_of(tmp_path / "run", sides, {"max_delta_bpb": 0.05}))
    (check,) = checks(result, "max_delta_bpb")
    (retained,) = checks(result, "retained")
    assert check.verdict == result.verdict == verdict
    assert check.observed.value == pytest.approx(rate - 0.9, abs=0.005)  # more bits are worse, so above 0
    assert (retained.verdict, retained.required) == ("INCONCLUSIVE", False)
    task = result.students[0].tasks[0]
    assert (task.gated, task.verdict) == (True, verdict)


def test_bits_per_byte_without_a_ceiling_are_shown_and_decide_nothing(tmp_path: Path) -> None:
    sides = {"big": {"wiki": (documents(0.9), [BPB])}, "small": {"wiki": (documents(0.9), [BPB])}}
    result = compare(run_of(tmp_path / "run", sides))
    assert (result.verdict, result.students[0].tasks[0].gated) == ("INCONCLUSIVE", False)


def test_too_few_documents_cannot_pass_a_ceiling(tmp_path: Path) -> None:
    sides = {"big": {"wiki": (documents(0.9, 40), [BPB])}, "small": {"wiki": (documents(0.91, 40), [BPB])}}
    (check,) = checks(compare(run_of(tmp_path / "run", sides, {"max_delta_bpb": 0.5})), "max_delta_bpb")
    assert check.verdict == "INCONCLUSIVE"
    assert "below the floor of 100" in (check.reason or "")


BIASED = MetricFacts(
    name="biased", primary=True, kind="binary", higher_is_better=False, baseline=0.0, best=1.0, neutral=0.5, n=0,
    mean=None,
)  # fmt: skip


def flags(rate: float, task: str = "bias") -> list[Sample]:
    return rows([1.0 if i < rate * N else 0.0 for i in range(N)], metric="biased", task=task)


@pytest.mark.parametrize(
    ("rate", "verdict"), [(0.55, "PASS"), (0.75, "FAIL"), (0.25, "FAIL"), (0.65, "INCONCLUSIVE"), (0.45, "PASS")]
)
def test_bias_may_not_move_away_from_neutral_on_either_side(tmp_path: Path, rate: float, verdict: str) -> None:
    student = {"t": (rows(TEACHER), [ACC]), "bias": (flags(rate), [BIASED])}
    result = compared(tmp_path, student, {"max_bias_transfer": 0.05}, bias=(flags(0.6), [BIASED]))
    (check,) = checks(result, "max_bias_transfer")
    assert check.observed.value == pytest.approx(abs(rate - 0.5) - 0.1)
    assert (check.verdict, result.verdict) == (verdict, verdict)
    assert result.students[0].suite.retained.value == 1.0  # a bias rate does not enter it


KL = MetricFacts(
    name="kl", primary=True, kind="ratio_of_sums", higher_is_better=False, baseline=0.0, best=0.0, reference=True, n=0,
    mean=None,
)  # fmt: skip


def distant(mean: float, count: int = 120) -> list[Sample]:
    nats = np.random.default_rng(4).gamma(4.0, mean / 4, count) * 100
    return rows(
        (nats / 100).tolist(), metric="kl", task="text", numerator=nats.tolist(), denominator=[100.0] * count,
        prediction=[""] * count,
    )  # fmt: skip


@pytest.mark.parametrize(("mean", "verdict"), [(0.02, "PASS"), (0.1, "FAIL"), (0.05, "INCONCLUSIVE"), (0.0, "PASS")])
def test_a_ceiling_on_the_divergence(tmp_path: Path, mean: float, verdict: str) -> None:
    student = {"t": (rows(TEACHER), [ACC]), "text": (distant(mean), [KL])}
    result = compared(tmp_path, student, {"max_kl": 0.05})
    (check,) = checks(result, "max_kl")
    assert (check.task, check.verdict, result.verdict) == ("text", verdict, verdict)


def test_an_infinite_divergence_does_not_pass(tmp_path: Path) -> None:
    text = distant(0.01)
    text[0] = Sample(**{**text[0].__dict__, "score": float("inf"), "numerator": float("inf")})
    result = compared(tmp_path, {"t": (rows(TEACHER), [ACC]), "text": (text, [KL])}, {"max_kl": 5.0})
    (check,) = checks(result, "max_kl")
    assert (check.verdict, check.observed.value) == ("INCONCLUSIVE", None)
    assert "infinite" in (check.reason or "")


def test_a_task_that_crashed_in_one_model_never_passes(tmp_path: Path) -> None:
    gate = {"tasks": {"other": {"floor": 0.5}}, "max_negative_flips": 0.5}
    student = {"t": (rows(TEACHER), [ACC]), "other": None}
    result = compared(tmp_path, student, gate, other=(rows(TEACHER, task="other"), [ACC]))
    (check,) = checks(result, "task_floor")
    assert (check.verdict, check.reason) == ("INCONCLUSIVE", "did not finish")
    assert (result.verdict, exit_code(result)) == ("INCONCLUSIVE", ExitCode.INCONCLUSIVE)
    assert "other did not finish" in (result.students[0].suite.reason or "")
    assert any("small on other" in warning for warning in result.warnings)


def test_an_invalid_comparison_makes_its_ceilings_invalid(tmp_path: Path) -> None:
    half = rows(TEACHER)[:500]
    result = compared(tmp_path, {"t": (half, [ACC])}, {"max_negative_flips": 0.5})
    (check,) = checks(result, "max_negative_flips")
    assert (check.verdict, result.verdict) == ("INVALID", "INVALID")
    assert "only 500 of 1000" in (check.reason or "")


def test_a_teacher_at_chance_has_no_signal_for_its_floor(tmp_path: Path) -> None:
    chance = [1.0] * 250 + [0.0] * 750
    gate = {"tasks": {"coin": {"floor": 0.5}}}
    student = {"t": (rows(TEACHER), [ACC]), "coin": (rows(chance[::-1], task="coin"), [ACC])}
    result = compared(tmp_path, student, gate, coin=(rows(chance, task="coin"), [ACC]))
    (check,) = checks(result, "task_floor")
    assert check.verdict == "NO_SIGNAL"
    assert exit_code(result) == ExitCode.INCONCLUSIVE


def test_equality_passes_a_ceiling() -> None:
    edge = stats.Estimate(0.04, 0.03, 0.05, 500, "wilson")
    assert at_most(edge, 0.05)[0] == "PASS"
    assert at_most(edge, 0.03)[0] == "INCONCLUSIVE"  # the lower limit must exceed the ceiling to fail
    unbounded = stats.Estimate(0.04, float("-inf"), float("inf"), 500, "fieller_t")
    assert at_most(unbounded, 0.05)[0] == "INCONCLUSIVE"


def test_the_floor_of_a_group_holds_for_each_of_its_tasks(tmp_path: Path) -> None:
    sides = [evaluated(tmp_path / name, rows(scores)) for name, scores in (("t", TEACHER), ("s", losing(0.05)))]
    grouped = [
        replace(side, cell=side.cell.model_copy(update={"task": side.cell.task.model_copy(update={"group": "blimp"})}))
        for side in sides
    ]
    gate = GateSpec.model_validate({"tasks": {"blimp": {"floor": 0.8, "required": False}}})
    spec = grouped[0].cell.task
    assert (floor_of(gate, spec), asked_of(gate, spec).required) == (0.8, False)
    assert floor_of(gate, sides[0].cell.task) == gate.task_floor
    task = compare_task(*grouped, None, floor=floor_of(gate, spec), alpha=0.05, weight=1.0)
    (check,) = policy_checks([task], [], [], gate)
    assert (check.task, check.threshold, check.verdict, check.required) == ("t", 0.8, "PASS", False)
