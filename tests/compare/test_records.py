"""From records alone to every statistic: fidelity, calibration, groups, context, bias, bits per byte, divergence."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from distbench import stats
from distbench.compare import overlap, sides
from distbench.compare.run import compare
from distbench.errors import RefusedError
from distbench.protocols import Sample
from distbench.schema.record import MetricFacts
from distbench.store.samples import write_samples
from tests.compare.records import ACC, RANDOM, STUDENT, TEACHER, N, compared, limits, rows, run_of


def test_fidelity_has_an_interval_for_every_number(tmp_path: Path) -> None:
    found = compared(tmp_path, rows(TEACHER), rows(STUDENT)).result.fidelity
    cells = stats.Cells.from_scores(STUDENT, TEACHER)
    flips = stats.flips(cells)
    for ours, theirs in (
        (found.negative_flips, flips.negative),
        (found.positive_flips, flips.positive),
        (found.retained_knowledge, flips.retained_knowledge),
        (found.agreement, stats.proportion(N - cells.discordant, N)),
        (found.churn, stats.proportion(cells.discordant, N)),
    ):
        assert limits(ours) == pytest.approx((theirs.value, theirs.lo, theirs.hi))
    kappa = found.cohen_kappa
    assert kappa is not None
    assert kappa.value == pytest.approx(stats.cohen_kappa(STUDENT, TEACHER))
    assert kappa.lo < kappa.value < kappa.hi


def test_clusters_widen_the_intervals_of_fidelity(tmp_path: Path) -> None:
    clusters = [f"passage {i // 20}" for i in range(N)]
    together = [1 - t if i // 20 % 10 == 0 else t for i, t in enumerate(TEACHER)]  # a passage is lost or kept as one
    apart = compared(tmp_path / "a", rows(TEACHER), rows(together)).result.fidelity.churn
    found = compared(tmp_path / "b", rows(TEACHER, cluster=clusters), rows(together, cluster=clusters)).result
    assert apart is not None
    churn = found.fidelity.churn
    assert churn is not None
    assert (churn.value, churn.method) == (apart.value, "wilson_cluster")
    assert churn.hi - churn.lo > 2 * (apart.hi - apart.lo)
    assert found.delta.method == "cluster_t"


def test_a_crash_agrees_with_nothing(tmp_path: Path) -> None:
    crashed = rows([None] * 10 + TEACHER[10:])
    both = compared(tmp_path, crashed, crashed, answers_digest="other").result
    assert both.fidelity.agreement is not None
    assert both.fidelity.agreement.value == pytest.approx((N - 10) / N)
    assert both.failed == 20


def test_records_without_answers_have_no_agreement(tmp_path: Path) -> None:
    silent = [""] * N
    found = compared(tmp_path, rows(TEACHER, prediction=silent), rows(STUDENT, prediction=silent)).result.fidelity
    assert (found.agreement, found.cohen_kappa) == (None, None)
    assert found.negative_flips is not None


def confident(scores: list[float], sure: np.ndarray) -> list[Sample]:
    label = np.where(np.array(scores) == 1, sure, (1 - sure) / 3)
    return rows(scores, confidence=sure.tolist(), label_probability=label.tolist())


def test_calibration_is_that_of_the_statistics(tmp_path: Path) -> None:
    sure_t, sure_s = RANDOM.uniform(0.3, 0.95, N), RANDOM.uniform(0.5, 1.0, N)
    result = compared(tmp_path, confident(TEACHER, sure_t), confident(STUDENT, sure_s)).result
    found = result.calibration
    assert found is not None
    assert (found.metric, found.n) == ("acc", N)
    assert found.brier.teacher == pytest.approx(stats.brier(sure_t, TEACHER))
    assert found.brier.student == pytest.approx(stats.brier(sure_s, STUDENT))
    assert found.brier.delta is not None
    assert found.brier.delta.value == pytest.approx(found.brier.teacher - found.brier.student)
    assert found.brier.delta.lo < found.brier.delta.value < found.brier.delta.hi
    assert found.ece.student == pytest.approx(stats.expected_calibration_error(sure_s, STUDENT))
    assert found.ace.teacher == pytest.approx(stats.adaptive_calibration_error(sure_t, TEACHER))
    assert found.aurc.student == pytest.approx(stats.aurc(sure_s, STUDENT))
    assert found.accuracy_at["0.8"].teacher == pytest.approx(stats.accuracy_at_coverage(sure_t, TEACHER, coverage=0.8))
    assert found.nll is not None
    expected = -np.log(np.where(np.array(STUDENT) == 1, sure_s, (1 - sure_s) / 3)).mean()
    assert found.nll.student == pytest.approx(expected)
    assert sum(each.n for each in found.student_bins) == N
    assert len(found.teacher_bins) == 15


def test_a_label_of_probability_0_is_infinite_not_clipped(tmp_path: Path) -> None:
    sure = RANDOM.uniform(0.3, 0.95, N)
    student = confident(STUDENT, sure)
    student[3] = Sample(**{**student[3].__dict__, "label_probability": 0.0})
    found = compared(tmp_path, confident(TEACHER, sure), student).result.calibration
    assert found is not None
    assert found.nll is not None
    assert (found.nll.student, found.nll.delta and found.nll.delta.value) == (None, None)
    assert "probability 0 on 0 (teacher) and 1 (student)" in (found.nll.reason or "")


def test_confidences_of_another_decision_are_not_calibrated(tmp_path: Path) -> None:
    sure = RANDOM.uniform(0.3, 0.95, N).tolist()
    other = ["right"] * N  # the prediction is always the label, whatever the score says
    result = compared(
        tmp_path, rows(TEACHER, confidence=sure, prediction=other), rows(STUDENT, confidence=sure, prediction=other)
    ).result
    assert result.calibration is None
    assert "no 0/1 metric of this task scores" in result.notes[0]
    assert compared(tmp_path / "none", rows(TEACHER), rows(STUDENT)).result.notes == []


def test_calibration_finds_the_metric_that_scores_the_prediction(tmp_path: Path) -> None:
    norm = ACC.model_copy(update={"name": "acc_norm"})
    acc = ACC.model_copy(update={"primary": False})
    sure = RANDOM.uniform(0.3, 0.95, N)

    def side(scores: list[float]) -> list[Sample]:
        said = [row.prediction for row in rows(scores)]
        flipped = [1 - s for s in scores]  # another decision: its own scores, but the prediction of the first
        return [
            *confident(scores, sure),
            *rows(flipped, metric="acc_norm", prediction=said, confidence=sure.tolist()),
        ]

    found = compared(tmp_path, side(TEACHER), side(STUDENT), [norm, acc]).result
    assert found.metric == "acc_norm"
    assert found.calibration is not None
    assert found.calibration.metric == "acc"


BPB = MetricFacts(
    name="bits_per_byte", primary=True, kind="ratio_of_sums", higher_is_better=False, baseline=0.0, best=0.0, n=0,
    mean=None,
)  # fmt: skip
SIZES = RANDOM.integers(200, 2000, 150).astype(float)


def documents(rate: float, noise: float = 0.02, metric: str = "bits_per_byte") -> list[Sample]:
    bits = SIZES * (rate + np.random.default_rng(5).normal(0, noise, SIZES.size))
    return rows(
        (bits / SIZES).tolist(), metric=metric, numerator=bits.tolist(), denominator=SIZES.tolist(),
        prediction=[""] * SIZES.size,
    )  # fmt: skip


def test_bits_per_byte_has_a_difference_and_a_perplexity_ratio(tmp_path: Path) -> None:
    teacher, student = documents(0.90), documents(0.95, noise=0.03)
    result = compared(tmp_path, teacher, student, BPB).result
    nats = [[-math.log(2) * (row.numerator or 0) for row in side] for side in (student, teacher)]
    expected = stats.delta_bits_per_byte(*nats, SIZES)
    assert limits(result.delta) == pytest.approx((expected.value, expected.lo, expected.hi))
    assert result.byte_perplexity_ratio is not None
    assert result.byte_perplexity_ratio.value == pytest.approx(2**expected.value)
    assert (result.gated, result.retained.value) == (False, None)


def test_documents_of_other_lengths_are_other_documents(tmp_path: Path) -> None:
    student = documents(0.95)
    student[0] = Sample(**{**student[0].__dict__, "denominator": 1.0})
    result = compared(tmp_path, documents(0.9), student, BPB).result
    assert result.verdict == "INVALID"
    assert "denominators differ" in (result.reason or "")


def test_a_word_error_rate_has_a_chance_level(tmp_path: Path) -> None:
    wer = BPB.model_copy(update={"name": "wer", "baseline": 1.0, "best": 0.0})
    teacher, student = documents(0.10, metric="wer"), documents(0.12, metric="wer")
    student[0] = Sample(**{**student[0].__dict__, "status": "error", "score": None, "numerator": None})
    found = compared(tmp_path, teacher, student, wer)
    worst = [SIZES[0], *[row.numerator or 0.0 for row in student[1:]]]  # as bad as an empty transcript
    expected = stats.retained_ratio_of_sums(
        worst, [row.numerator or 0.0 for row in teacher], SIZES, baseline=1.0, higher_is_better=False
    )
    assert found.result.retained.value == pytest.approx(expected.value)
    assert (found.claim, found.own is not None, found.result.byte_perplexity_ratio) == (None, True, None)


def test_lower_is_better_for_scores_per_sample(tmp_path: Path) -> None:
    facts = ACC.model_copy(update={"kind": "mean", "higher_is_better": False, "baseline": 1.0, "best": 0.0})
    teacher = RANDOM.uniform(0.1, 0.3, N)
    result = compared(tmp_path, rows(teacher.tolist()), rows((teacher * 1.1).tolist()), facts).result
    assert result.retained.value == pytest.approx((1 - teacher.mean() * 1.1) / (1 - teacher.mean()))
    assert result.delta.value == pytest.approx(-0.1 * teacher.mean())
    assert result.retained_raw.value is None


@pytest.mark.parametrize("wrong", [math.nan, math.inf, None])
def test_a_score_that_is_no_number_is_invalid(tmp_path: Path, wrong: float | None) -> None:
    student = rows(STUDENT)
    student[5] = Sample(**{**student[5].__dict__, "score": wrong})
    result = compared(tmp_path, rows(TEACHER), student).result
    assert result.verdict == "INVALID"
    assert "not a finite number" in (result.reason or "")


def test_one_sample_has_a_value_and_no_verdict(tmp_path: Path) -> None:
    result = compared(tmp_path, rows([1.0]), rows([0.0])).result
    assert result.verdict in {"INCONCLUSIVE", "NO_SIGNAL"}
    assert result.retained.lo is None


def test_free_text_is_compared_as_text(tmp_path: Path) -> None:
    said = [f"the answer to question {i} is blue" for i in range(60)]
    other = [text if i % 3 else text.replace("blue", "green") for i, text in enumerate(said)]
    teacher, student = rows([1.0] * 60, prediction=said), rows([1.0] * 60, prediction=other)
    found = compared(tmp_path, teacher, student).result.fidelity.text_overlap
    assert found["exact match"].value == pytest.approx(2 / 3)
    assert 2 / 3 < found["chrF"].value < 1
    assert found["ROUGE-L"].value == pytest.approx(2 / 3 + 6 / 7 / 3)
    assert found["chrF"].lo < found["chrF"].value < found["chrF"].hi
    choices = compared(tmp_path / "c", rows(TEACHER, prediction=["A"] * N), rows(STUDENT, prediction=["A"] * N))
    assert choices.result.fidelity.text_overlap == {}


def test_overlap_reads_a_seeded_draw_of_long_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(overlap, "MOST_TEXTS", 30)
    said = [f"answer number {i}" for i in range(N)]
    found = compared(tmp_path, rows(TEACHER, prediction=said), rows(STUDENT, prediction=said)).result.fidelity
    assert found.text_overlap["exact match"].n == 30
    assert found.text_overlap["exact match"].value == 1.0


KL = MetricFacts(
    name="kl", primary=True, kind="ratio_of_sums", higher_is_better=False, baseline=0.0, best=0.0, reference=True, n=0,
    mean=None,
)  # fmt: skip
AGREE = KL.model_copy(update={"name": "token_agreement", "primary": False, "higher_is_better": True, "best": 1.0})
MEDIAN = KL.model_copy(update={"name": "kl_median", "primary": False, "kind": "mean"})


def distant(scale: float = 0.02, count: int = 120) -> list[Sample]:
    tokens = RANDOM.integers(50, 200, count).astype(float)
    nats = tokens * RANDOM.gamma(2.0, scale / 2, count)
    columns = {"numerator": nats.tolist(), "denominator": tokens.tolist(), "prediction": [""] * count}
    agree = (tokens * 0.94).round()
    return [
        *rows((nats / tokens).tolist(), metric="kl", task="text", **columns),
        *rows(
            (agree / tokens).tolist(), metric="token_agreement", task="text",
            **{**columns, "numerator": agree.tolist()},
        ),
        *rows((nats / tokens / 2).tolist(), metric="kl_median", task="text", prediction=[""] * count),
    ]  # fmt: skip


def test_divergence_needs_no_teacher_side(tmp_path: Path) -> None:
    acc = rows(TEACHER), [ACC]
    kl = distant()
    run = run_of(
        tmp_path / "run",
        {"big": {"t": acc}, "small": {"t": acc, "text": (kl, [KL, AGREE, MEDIAN])}},
    )
    (student,) = compare(run).students
    assert [found.metric for found in student.divergence] == ["kl", "token_agreement", "kl_median"]
    mean = student.divergence[0].value
    nats, tokens = (np.array([getattr(row, name) for row in kl[:120]]) for name in ("numerator", "denominator"))
    expected = stats.ratio_of_means(stats.mean_covariance(nats, tokens))
    assert limits(mean) == pytest.approx((expected.value, expected.lo, expected.hi))
    assert [task.task for task in student.tasks] == ["t"]
    assert student.verdict == "PASS"  # equal answers on the one task with a retention


def test_infinite_divergence_is_counted(tmp_path: Path) -> None:
    kl = distant()
    kl[0] = Sample(**{**kl[0].__dict__, "score": math.inf, "numerator": math.inf})
    run = run_of(tmp_path / "run", {"big": {"t": (rows(TEACHER), [ACC])}, "small": {"text": (kl, [KL, AGREE, MEDIAN])}})
    found = compare(run).students[0].divergence[0]
    assert (found.infinite, found.value.value) == (1, None)
    assert "infinite on 1 of 120" in (found.value.reason or "")


def test_the_front_of_the_result(tmp_path: Path) -> None:
    same = rows(TEACHER), [ACC]
    worse = rows([0.0 if i < 60 else s for i, s in enumerate(TEACHER)]), [ACC]
    run = run_of(
        tmp_path / "run",
        {"big": {"t": same}, "good": {"t": same}, "dominated": {"t": worse}, "tiny": {"t": worse}},
        sizes={"big": 800, "good": 200, "dominated": 400, "tiny": 100},
    )
    (trade,) = compare(run).trade_offs
    points = {point.name: point for point in trade.points}
    assert {name: point.on_front for name, point in points.items()} == {
        "big": False,  # as good as the teacher and smaller: the teacher itself is dominated
        "good": True,
        "dominated": False,
        "tiny": True,
    }
    kept = points["tiny"].retained.value
    assert kept is not None
    assert trade.hypervolume == pytest.approx(1.0 * 2 + kept * 1)  # log2 of 4, and of 8 beyond it
    assert points["dominated"].front_probability == pytest.approx(0.0)
    assert points["good"].front_probability == pytest.approx(1.0)


def test_disagreements_show_the_texts_of_both_sides(tmp_path: Path) -> None:
    ids = [f"doc {i}" for i in range(N)]
    teacher = rows(TEACHER, sample_id=ids, groups=[{"dialect": f"d{i % 3}"} for i in range(N)])
    student = rows(STUDENT, sample_id=ids, prediction=[f"student says {i}" for i in range(N)])[::-1]
    run = run_of(tmp_path / "run", {"big": {"t": (teacher, [ACC])}, "small": {"t": (student, [ACC])}})
    result = compare(run).students[0]
    lost = [i for i in range(N) if TEACHER[i] > STUDENT[i]]
    won = [i for i in range(N) if TEACHER[i] < STUDENT[i]]
    assert result.disagreements_total == len(lost) + len(won)
    assert [each.sample_id for each in result.disagreements] == [f"doc {i}" for i in (*lost, *won)]
    first = result.disagreements[0]
    assert (first.prompt, first.teacher) == (f"question {lost[0]}", "right")
    assert first.student == f"student says {lost[0]}"
    assert first.groups == {"dialect": f"d{lost[0] % 3}"}


def test_samples_of_other_metrics_and_statuses(tmp_path: Path) -> None:
    both = [row for pair in zip(rows(TEACHER), rows([0.0] * N, metric="f1"), strict=True) for row in pair]
    path = tmp_path / "samples.parquet"
    write_samples(path, both)
    side = sides.side((path,), "acc")
    assert side.score.tolist() == TEACHER
    assert side.rows.tolist() == list(range(0, 2 * N, 2))
    assert len(sides.side((path,), "bleu")) == 0
    sides.forget()
    write_samples(path, [Sample("t", "1", "acc", 1.0, status="lost")])  # type: ignore[arg-type]
    with pytest.raises(RefusedError, match="unknown status 'lost'"):
        sides.side((path,), "acc")


def test_the_cache_of_sides_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sides.forget()
    monkeypatch.setattr(sides, "KEPT_ROWS", 2 * N)
    for k in range(5):
        write_samples(tmp_path / f"{k}.parquet", rows(TEACHER))
        sides.side((tmp_path / f"{k}.parquet",), "acc")
    assert sum(len(each) for each in sides._cache.values()) == 2 * N
    again = sides.side((tmp_path / "4.parquet",), "acc")
    assert again is sides.side((tmp_path / "4.parquet",), "acc")
