"""Parts that a task may have beside its score: calibration, groups, context length, bias, divergence."""

from __future__ import annotations

from distbench.schema.result import (
    Beside,
    Bias,
    Calibration,
    ContextCurve,
    Divergence,
    Estimate,
    GateCheck,
    GroupDimension,
    GroupResult,
    LengthBucket,
    ReliabilityBin,
    StudentResult,
    TaskResult,
)
from tests.report.made.estimates import estimate


def calibration() -> Calibration:
    def bins(shift: float) -> list[ReliabilityBin]:
        found = []
        for k in range(15):
            middle = (k + 0.5) / 15
            empty = k < 5
            found.append(
                ReliabilityBin(
                    lo=k / 15, hi=(k + 1) / 15, n=0 if empty else 8 * k, confidence=None if empty else middle,
                    accuracy=None if empty else max(0.0, middle - shift * middle),
                )
            )  # fmt: skip
        return found

    return Calibration(
        metric="acc",
        n=600,
        brier=Beside(teacher=0.121, student=0.139, delta=estimate(-0.018, 0.006, 600, method="paired_t")),
        nll=Beside(teacher=0.402, student=0.447, delta=estimate(-0.045, 0.02, 600, method="paired_t")),
        ece=Beside(teacher=0.031, student=0.084),
        ace=Beside(teacher=0.033, student=0.081),
        aurc=Beside(teacher=0.048, student=0.057),
        accuracy_at={"0.5": Beside(teacher=0.97, student=0.95), "0.9": Beside(teacher=0.91, student=0.89)},
        teacher_bins=bins(0.04),
        student_bins=bins(0.15),
    )


def groups(hostile: str = "rural") -> list[GroupDimension]:
    def row(name: str, kept: float | None, n: int, verdict: str | None = "PASS") -> GroupResult:
        return GroupResult(
            group=name, n=n, teacher=0.86, student=0.84, retained=estimate(kept, 0.04, n), judged=verdict is not None,
            verdict=verdict, reason=None if verdict else "fewer than 30 samples: listed, not judged",
        )  # fmt: skip

    rows = [row("urban", 0.985, 310), row(hostile, 0.83, 260, "FAIL"), row("coastal", 0.97, 30, "INCONCLUSIVE")]
    return [
        GroupDimension(
            dimension="dialect", floor=0.9, groups=[*rows, row("island", 1.4, 12, None)], worst_group=hostile,
            worst_group_retained=rows[1].retained, gap_growth=0.061,
        ),
        GroupDimension(dimension="item id", floor=0.9, groups=[], reason="600 values: more than 200 are no groups"),
    ]  # fmt: skip


def context() -> ContextCurve:
    def bucket(length: int, kept: float | None, verdict: str) -> LengthBucket:
        n = 0 if kept is None else 150
        why = {} if n else {"status": "undefined", "reason": "no sample of this length was answered by both"}
        score = None if kept is None else 0.9
        return LengthBucket(
            length=length, n=n, teacher=score, student=score, retained=estimate(kept, 0.03, n, **why), verdict=verdict
        )

    rows = [(1024, 0.99, "PASS"), (2048, 0.975, "PASS"), (4096, None, "INCONCLUSIVE"), (8192, 0.71, "FAIL")]
    return ContextCurve(margin=0.9, buckets=[bucket(*row) for row in rows], effective_length=2048)


def bias_task() -> TaskResult:
    why = Estimate(value=None, method="none", status="undefined", reason="a bias rate: closer to 0.5 is better")
    found = Bias(
        metric="stereotyped", neutral=0.5, n=500, teacher=estimate(0.61, 0.04, 500, method="wilson"),
        student=estimate(0.66, 0.04, 500, method="wilson"), transfer=estimate(0.05, 0.03, 500, method="cluster_t"),
        drift=estimate(0.05, 0.03, 500, method="cluster_t"), inherited=estimate(0.93, 0.03, 305, method="wilson"),
        closer_to_neutral=False,
    )  # fmt: skip
    return TaskResult(
        task="stereotypes", metric="stereotyped", higher_is_better=False, baseline=0.0, n=500, teacher=0.61,
        student=0.66, retained=why, retained_raw=why, delta=why, bias=[found], gated=False, verdict="INCONCLUSIVE",
        reason="shown, not gated: a bias rate",
    )  # fmt: skip


def bytes_task() -> TaskResult:
    why = Estimate(value=None, method="none", status="undefined", reason="bits per byte have no chance level")
    return TaskResult(
        task="wiki", metric="bits_per_byte", higher_is_better=False, baseline=0.0, n=200, teacher=0.912, student=0.957,
        retained=why, retained_raw=why, delta=estimate(-0.045, 0.006, 200, method="fieller_t"), gated=False,
        byte_perplexity_ratio=estimate(0.969, 0.004, 200, method="fieller_t"), verdict="INCONCLUSIVE",
        reason="shown, not gated: no chance level",
    )  # fmt: skip


def divergence() -> list[Divergence]:
    return [
        Divergence(
            task="kl-text", metric="kl", primary=True, higher_is_better=False, n=120,
            value=estimate(0.0132, 0.002, 120, method="fieller_t"),
        ),
        Divergence(
            task="kl-text", metric="kl_p99", primary=False, higher_is_better=False, n=120,
            value=estimate(None, n=120, status="undefined", reason="infinite on 2 of 120 documents"), infinite=2,
        ),
        Divergence(
            task="kl-text", metric="token_agreement", primary=False, higher_is_better=True, n=120,
            value=estimate(0.941, 0.004, 120, method="fieller_t"),
        ),
    ]  # fmt: skip


def with_everything(student: StudentResult, hostile: str = "rural") -> StudentResult:
    """Return a student whose first task has every part that a task may have, and which has a task of each kind."""
    parts = {"calibration": calibration(), "groups": groups(hostile), "context": context(), "notes": ["no nll"]}
    first = student.tasks[0].model_copy(update=parts)
    tasks = [first, *student.tasks[1:], bias_task(), bytes_task()]
    ceiling = GateCheck(
        rule="max_negative_flips", task=first.task, threshold=0.08, direction="at_most", verdict="PASS",
        observed=estimate(0.045, 0.008, 600, method="wilson"), reason="upper limit 0.0530 ≤ 0.08",
    )  # fmt: skip
    gate = [*student.gate, ceiling]
    return student.model_copy(update={"tasks": tasks, "divergence": divergence(), "gate": gate})
