"""From records alone to groups, context lengths and bias."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from distbench import stats
from distbench.schema.record import MetricFacts
from tests.compare.records import STUDENT, TEACHER, N, compared, limits, rows


def test_groups_list_small_ones_and_judge_after_holm(tmp_path: Path) -> None:
    groups = [{"dialect": "rare" if i < 20 else "lost" if i < 120 else "kept"} for i in range(N)]
    teacher = [1.0] * 360 + [0.0] * 40
    student = [0.0 if 20 <= i < 80 else t for i, t in enumerate(teacher)]  # the group "lost" keeps 40 of 100
    found = compared(tmp_path, rows(teacher, groups=groups), rows(student, groups=groups))
    (dimension,) = found.result.groups
    by_name = {group.group: group for group in dimension.groups}
    assert {name: group.judged for name, group in by_name.items()} == {"rare": False, "lost": True, "kept": True}
    assert by_name["rare"].verdict is None
    assert by_name["rare"].retained.value is not None
    assert (dimension.worst_group, by_name["lost"].verdict) == ("lost", "FAIL")
    assert dimension.worst_group_retained == by_name["lost"].retained
    means = [(np.mean(side[20:120]), np.mean(side[120:])) for side in (student, teacher)]
    assert dimension.gap_growth == pytest.approx(np.ptp(means[0]) - np.ptp(means[1]))
    assert len(found.groups) == 2


def test_a_weak_failure_does_not_survive_holm() -> None:
    from distbench.compare.groups import judge

    below = stats.Estimate(0.8, 0.7, 0.89, 500, "score_cml")
    weak = [stats.Claim(str(k), below, 0.9, p_below=0.02) for k in range(5)]
    assert {verdict for verdict, _ in judge(weak, 0.05)} == {"INCONCLUSIVE"}
    assert judge(weak[:1], 0.05)[0][0] == "FAIL"


def test_a_dimension_of_items_is_no_grouping(tmp_path: Path) -> None:
    groups = [{"item": str(i), "half": "ab"[i % 2]} for i in range(N)]
    found = compared(tmp_path, rows(TEACHER, groups=groups), rows(STUDENT, groups=groups)).result.groups
    assert {each.dimension: len(each.groups) for each in found} == {"half": 2, "item": 0}
    assert "more than 200" in next(each.reason or "" for each in found if each.dimension == "item")


def test_context_curve_and_effective_length(tmp_path: Path) -> None:
    lengths = [1024 * 2 ** (i % 3) for i in range(900)]
    teacher = [1.0] * 900
    student = [0.0 if length == 4096 and i % 2 else 1.0 for i, length in enumerate(lengths)]
    curve = compared(tmp_path, rows(teacher, length=lengths), rows(student, length=lengths)).result.context
    assert curve is not None
    assert [(b.length, b.n, b.verdict) for b in curve.buckets] == [
        (1024, 300, "PASS"),
        (2048, 300, "PASS"),
        (4096, 300, "FAIL"),
    ]
    assert curve.effective_length == 2048
    assert curve.buckets[2].retained.value == pytest.approx((0.5 - 0.25) / (1 - 0.25))


def test_a_length_that_nobody_answered_is_no_zero(tmp_path: Path) -> None:
    lengths = [1024] * 400 + [2048] * 2 + [4096] * 400
    status = ["ok"] * 400 + ["not_run"] * 2 + ["ok"] * 400
    scores = [1.0] * 802
    side = rows(scores, length=lengths, status=status)
    curve = compared(tmp_path, side, rows(scores, length=lengths, status=status), answers_digest="x").result.context
    assert curve is not None
    middle = curve.buckets[1]
    assert (middle.length, middle.n, middle.teacher, middle.retained.value) == (2048, 0, None, None)
    assert curve.effective_length == 1024  # what lies beyond a gap is not claimed


LIMIT = "not run: prompts of up to 4,300 tokens, and the model takes 2,048"


def short_model(lengths: list[int], longest: int) -> dict[str, list[Any]]:
    return {
        "length": lengths,
        "status": ["ok" if length <= longest else "not_run" for length in lengths],
        "prediction": ["" if length <= longest else LIMIT for length in lengths],
    }


def test_a_length_beyond_one_model_makes_the_task_invalid_but_leaves_the_other_lengths(tmp_path: Path) -> None:
    lengths = [1024 * 2 ** (i % 3) for i in range(900)]
    teacher = [1.0] * 900
    student: list[float | None] = [
        None if length == 4096 else 0.0 if length == 2048 and i % 2 else 1.0 for i, length in enumerate(lengths)
    ]
    result = compared(tmp_path, rows(teacher, length=lengths), rows(student, **short_model(lengths, 2048))).result
    assert result.verdict == "INVALID"
    assert result.retained.value is None
    assert result.reason == (
        "only 600 of 900 samples were answered by both; "
        "length 4,096: student not run: prompts of up to 4,300 tokens, and the model takes 2,048"
    )
    curve = result.context
    assert curve is not None
    assert [(b.length, b.n, b.verdict) for b in curve.buckets] == [
        (1024, 300, "PASS"),
        (2048, 300, "FAIL"),
        (4096, 0, "INVALID"),
    ]
    assert curve.buckets[1].retained.value == pytest.approx((0.5 - 0.25) / (1 - 0.25))
    gap = curve.buckets[2]
    assert (gap.teacher, gap.student, gap.retained.value, gap.retained.lo) == (None, None, None, None)
    assert gap.retained.reason == "student not run: prompts of up to 4,300 tokens, and the model takes 2,048"
    assert curve.effective_length == 1024


def test_each_side_says_which_lengths_it_was_not_run_at(tmp_path: Path) -> None:
    lengths = [512 * 2 ** (i % 3) for i in range(900)]
    scores: list[float | None] = [1.0] * 900
    result = compared(
        tmp_path, rows(scores, **short_model(lengths, 1024)), rows(scores, **short_model(lengths, 512))
    ).result
    assert "length 2,048: teacher not run" in result.reason
    assert "length 1,024, 2,048: student not run" in result.reason
    assert result.context is not None
    reason = result.context.buckets[2].retained.reason or ""
    assert reason.startswith("teacher not run: prompts")
    assert "; student not run: prompts" in reason
    assert result.context.effective_length == 512


def test_a_length_of_which_too_little_was_run_is_invalid_by_itself(tmp_path: Path) -> None:
    lengths = [1024] * 4000 + [2048] * 400
    status = ["ok"] * 4380 + ["not_run"] * 20  # 95 % of this length, 99.5 % of the task
    result = compared(
        tmp_path, rows([1.0] * 4400, length=lengths), rows([1.0] * 4400, length=lengths, status=status),
        answers_digest="x",
    ).result  # fmt: skip
    assert result.verdict == "PASS"
    assert result.context is not None
    assert [(b.n, b.verdict) for b in result.context.buckets] == [(4000, "PASS"), (380, "INVALID")]
    assert "student not run on 20 of 400" in (result.context.buckets[1].retained.reason or "")
    assert result.context.effective_length == 1024


def test_what_is_not_comparable_has_no_curve(tmp_path: Path) -> None:
    lengths = [1024] * N
    result = compared(
        tmp_path, rows(TEACHER, length=lengths), rows(STUDENT, length=lengths), prompt_digest="other"
    ).result
    assert (result.verdict, result.context) == ("INVALID", None)


def test_many_lengths_are_read_in_powers_of_two(tmp_path: Path) -> None:
    lengths = [100 + i for i in range(N)]
    curve = compared(tmp_path, rows(TEACHER, length=lengths), rows(STUDENT, length=lengths)).result.context
    assert curve is not None
    assert [b.length for b in curve.buckets] == [128, 256, 512]
    assert [b.n for b in curve.buckets] == [29, 128, 243]


BIASED = MetricFacts(
    name="stereotyped", primary=True, kind="binary", higher_is_better=False, baseline=0.0, best=1.0, neutral=0.5, n=N,
    mean=None,
)  # fmt: skip


def test_a_bias_rate_is_transferred_not_retained(tmp_path: Path) -> None:
    templates = [f"template {i // 4}" for i in range(N)]
    found = compared(
        tmp_path,
        rows(TEACHER, metric="stereotyped", cluster=templates),
        rows(STUDENT, metric="stereotyped", cluster=templates),
        BIASED,
    )
    (bias,) = found.result.bias
    expected = stats.bias_transfer(STUDENT, TEACHER, neutral=0.5, templates=[i // 4 for i in range(N)])
    assert limits(bias.transfer) == pytest.approx((expected.excess.value, expected.excess.lo, expected.excess.hi))
    assert limits(bias.inherited) == pytest.approx(
        (expected.inherited.value, expected.inherited.lo, expected.inherited.hi)
    )
    assert bias.transfer.method == "cluster_t"
    assert (found.claim, found.part, found.result.gated) == (None, None, False)
    assert found.result.retained.value is None
    assert found.result.fidelity.negative_flips is None


def test_a_crash_is_neither_biased_nor_neutral(tmp_path: Path) -> None:
    student = rows([None, *STUDENT[1:]], metric="stereotyped")
    found = compared(tmp_path, rows(TEACHER, metric="stereotyped"), student, BIASED).result
    assert (found.n, found.failed, found.bias[0].n) == (N - 1, 1, N - 1)
    many = rows([None] * 10 + STUDENT[10:], metric="stereotyped")
    invalid = compared(tmp_path / "many", rows(TEACHER, metric="stereotyped"), many, BIASED).result
    assert (invalid.verdict, invalid.bias) == ("INVALID", [])
