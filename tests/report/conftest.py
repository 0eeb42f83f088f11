"""A SYNTHETIC result: every name and number here is invented to exercise the report. Nothing was measured."""

from __future__ import annotations

from typing import Any

import pytest

from distbench.schema.record import Agreement, Footprint, HostFacts, Training
from distbench.schema.result import (
    Beside,
    Bias,
    Calibration,
    CellSummary,
    ContextCurve,
    Disagreement,
    Divergence,
    Estimate,
    Fidelity,
    GateCheck,
    GroupDimension,
    GroupResult,
    LengthBucket,
    Measurement,
    PercentileFacts,
    ReliabilityBin,
    Result,
    StudentResult,
    SuiteScore,
    TaskResult,
    TeacherResult,
    TradeOff,
    TradeOffPoint,
)

HOSTILE = "</script><script>alert(1)</script>"
TEACHER_BYTES = 538_060_672
TASKS = ("blimp-agreement", "sentiment", "topic")


def estimate(value: float | None, half: float = 0.02, n: int = 1200, **more: Any) -> Estimate:
    limits = {"lo": None, "hi": None} if value is None else {"lo": value - half, "hi": value + half}
    return Estimate(**{"value": value, "n": n, "method": "score", **limits, **more})


def no_signal() -> Estimate:
    reason = "the teacher (0.252) is not significantly above chance (0.25)"
    return estimate(None, n=300, status="no_signal", reason=reason)


def fidelity(n: int) -> Fidelity:
    return Fidelity(
        agreement=estimate(0.93, 0.01, n, method="wilson"),
        churn=estimate(0.07, 0.01, n, method="wilson"),
        cohen_kappa=estimate(0.861, 0.02, n, method="kappa"),
        negative_flips=estimate(0.045, 0.008, n, method="wilson"),
        positive_flips=estimate(0.021, 0.006, n, method="wilson"),
        retained_knowledge=estimate(0.949, 0.009, n, method="wilson"),
        text_overlap={"chrF": estimate(0.71, 0.02, n)},
    )


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


FRONT = {"soft-23-layers": 0.97, "soft-23-int8": 0.88, "tiny": 1.0}


def trade_off(students: list[StudentResult]) -> TradeOff:
    points = [
        TradeOffPoint(
            name=each.name, compression=each.compression["bytes_on_disk"], retained=each.suite.retained,
            on_front=each.name in FRONT, front_probability=FRONT.get(each.name, 0.02),
        )
        for each in students
        if each.suite.retained.value is not None and each.role == "student"
    ]  # fmt: skip
    return TradeOff(teacher="teacher", kind="bytes_on_disk", points=points, hypervolume=1.91)


def task_result(name: str, kept: float, teacher: float = 0.88, n: int = 600, **more: Any) -> TaskResult:
    baseline = 0.5
    student = baseline + kept * (teacher - baseline)
    verdict = "PASS" if kept - 0.03 >= 0.9 else "FAIL" if kept + 0.03 < 0.9 else "INCONCLUSIVE"
    return TaskResult(
        **{
            "task": name,
            "metric": "acc",
            "higher_is_better": True,
            "baseline": baseline,
            "n": n,
            "teacher": teacher,
            "student": student,
            "retained": estimate(kept, 0.03, n),
            "retained_raw": estimate(student / teacher, 0.01, n),
            "delta": estimate(student - teacher, 0.011, n),
            "fidelity": fidelity(n),
            "verdict": verdict,
            "reason": f"interval against the floor of 0.90: {verdict.lower()}",
            **more,
        }
    )


def no_signal_task() -> TaskResult:
    return TaskResult(
        task="riddles",
        metric="acc",
        higher_is_better=True,
        baseline=0.25,
        n=300,
        teacher=0.252,
        student=0.249,
        retained=no_signal(),
        retained_raw=estimate(0.988, 0.06, 300),
        delta=estimate(-0.003, 0.02, 300),
        verdict="NO_SIGNAL",
        reason="the teacher is not above chance",
    )


def measurement(
    meter: str, metric: str, unit: str, teacher: float, times: float | None, workload: str, **more: Any
) -> Measurement:
    return Measurement(
        **{
            "meter": meter,
            "metric": metric,
            "unit": unit,
            "workload": workload,
            "higher_is_better": False,
            "teacher": teacher,
            "student": None if times is None else teacher / times,
            "ratio": estimate(times, 0.04, 30, method="bootstrap over launches"),
            "n": 30,
            "status": "measured",
            **more,
        }
    )


WORK = "batch 1"


def percentiles(middle: float, n: int) -> list[PercentileFacts]:
    needs = {50.0: 5, 90.0: 29, 95.0: 59, 99.0: 299}
    return [
        PercentileFacts(
            percent=p, value=middle * (1 + k * 0.06) if n >= least else None,
            upper=middle * (1.02 + k * 0.08) if n >= least else None, n=n, needs=least,
        )
        for k, (p, least) in enumerate(needs.items())
    ]  # fmt: skip


def again() -> list[Measurement]:
    """The teacher against itself: a known noise floor."""
    exact = {"ratio": estimate(1.002, 0.009, 30, method="t over launches")}
    return [
        measurement("latency", "ttft_ms", "ms", 146.0, 1.0, WORK, **exact),
        measurement("latency", "e2e_ms", "ms", 451.0, 1.0, WORK, **exact),
    ]


def energy(times: float | None) -> list[Measurement]:
    facts: dict[str, dict[str, float | str]] = {
        "student": {"source": "nvml-counter", "window_seconds": 5.0, "edge_error": 0.02, "idle_watts": 71.5}
    }
    name, unit = "gross_joules_per_token", "J/token"
    if times is None:
        why = "assumed power is no measurement: there is no ratio"
        guess = estimate(None, n=0, status="undefined", reason=why)
        spans = {"teacher": (0.3, 0.6), "student": (0.2, 0.4)}
        assumed = measurement("energy", name, unit, 0.0, None, WORK, ratio=guess, n=0, status="estimated", reason=why)
        remedy = "sudo chmod a+r /sys/class/powercap/intel-rapl:0/energy_uj"
        return [assumed.model_copy(update={"teacher": None, "estimates": spans, "remedy": remedy})]
    return [
        measurement("energy", name, unit, 0.455, times, WORK, scope="GPU board", facts=facts),
        measurement("energy", "net_joules_per_token", unit, 0.31, times * 1.1, WORK, scope="GPU board", facts=facts),
    ]


def agreement(equal: int = 32, *, exact: bool = True) -> Agreement:
    return Agreement(
        prompts=4, prompt_kind="text", exact=exact, greedy_equal=equal, greedy_total=32,
        first_divergence=None if equal == 32 else 5, positions=128, top1=1.0 if equal == 32 else 0.897,
        kl=2.1e-7 if equal == 32 else 0.0413, largest_difference=0.0004 if equal == 32 else 3.1,
    )  # fmt: skip


def sizes(memory: float) -> list[Measurement]:
    rows = {
        "peak_bytes": 954e6, "model_bytes": 560e6, "weight_bytes": 538e6, "prefill_peak_bytes": 930e6,
        "uss_bytes": 700e6, "rss_anon_bytes": 610e6, "rss_file_bytes": 330e6,
    }  # fmt: skip
    found = [measurement("memory", name, "bytes", value, memory, WORK) for name, value in rows.items()]
    return [*found, measurement("memory", "kv_bytes_per_token", "bytes/token", 46_080, memory, WORK)]


def measurements(speed: float, memory: float | None, load: float = 1.4) -> list[Measurement]:
    why = "the peak memory of a child process cannot be read on this system"

    def time(metric: str, middle: float, times: float, n: int) -> Measurement:
        sides = {"teacher_percentiles": percentiles(middle, n), "student_percentiles": percentiles(middle / times, n)}
        return measurement("latency", metric, "ms", middle, times, WORK, **sides)

    found = [
        time("ttft_ms", 146.0, speed * 0.92, 30),
        time("itl_ms", 9.6, speed * 1.02, 930),
        time("e2e_ms", 451.0, speed, 30),
        measurement(
            "latency", "decode_tokens_per_s", "tokens/s", 104.0, speed, WORK, higher_is_better=True,
            student=104.0 * speed,
        ),
        measurement("load", "load_seconds", "s", 2.31, load, ""),
    ]  # fmt: skip
    if memory is None:
        unknown = estimate(None, n=0, status="undefined", reason=why)
        missing = measurement("memory", "peak_bytes", "bytes", 0, None, WORK, n=0, reason=why)
        lost = {"status": "not_measurable", "teacher": None, "ratio": unknown}
        return [*found, missing.model_copy(update=lost), *energy(None)]
    return [*found, *sizes(memory), *energy(speed)]


def training(before: float, after: float, objective: str = "forward KL, T = 1") -> Training:
    return Training(
        method="soft-labels",
        objective=objective,
        data="teacher-sampled: 176 sequences",
        data_digest="ab" * 32,
        examples=176,
        units=34_144,
        epochs=2.0,
        steps=88,
        seconds=219.4,
        teacher_seconds=135.0,
        from_cache=False,
        heldout_kl_before=before,
        heldout_kl_after=after,
        heldout_n=1_552,
        loss=[(10, 3.2), (88, 1.2)],
    )


def disagreements(count: int, task: str = "sentiment", text: str = "") -> list[Disagreement]:
    return [
        Disagreement(
            task=task,
            sample_id=f"s{number:05d}",
            kind="won" if number % 4 == 3 else "lost",
            prompt=f"Question {number}: is this review of a film friendly? {text}" + " and so on" * (number % 60),
            label="yes" if number % 2 else "no",
            teacher="yes" if number % 2 else "no",
            student="no" if number % 2 else "yes",
        )
        for number in range(count)
    ]


def student(name: str, kept: dict[str, float], smaller: float, verdict: str, **more: Any) -> StudentResult:
    tasks = [task_result(task, value) for task, value in kept.items()]
    mean = sum(kept.values()) / len(kept) if kept else None
    size = round(TEACHER_BYTES / smaller)
    speed = 1.0 + (smaller - 1) * 0.55
    retained = (
        estimate(mean, 0.014, 600 * len(kept)) if kept else estimate(None, n=0, status="invalid", reason="no scores")
    )
    suite = SuiteScore(
        retained=retained,
        mean_of_ratios=mean,
        worst_task=min(kept, key=lambda task: kept[task]) if kept else None,
        verdict=verdict,
        left_out=["riddles"],
    )
    return StudentResult(
        **{
            "name": name,
            "label": name,
            "role": "student",
            "of": ["teacher"],
            "required": True,
            "made_by": "teacher, 23 of 30 layers kept, soft labels",
            "compression": {
                "bytes_on_disk": smaller,
                "params_unique": smaller * 0.98,
                "params_non_embedding": smaller * 1.1,
            },
            "footprint": Footprint(
                bytes_on_disk=size, params_unique=size // 4, params_non_embedding=size // 5, dtype="float32"
            ),
            "tasks": [*tasks, no_signal_task()] if kept else [],
            "suite": suite,
            "measurements": measurements(speed, 1 + (smaller - 1) * 0.4) if kept else [],
            "gate": gate_checks(retained, smaller, verdict),
            "verdict": verdict,
            "verdict_reason": f"Retained share against the gate of 95 %: {verdict.lower()}.",
            **more,
        }
    )


def gate_checks(retained: Estimate, smaller: float, verdict: str) -> list[GateCheck]:
    exact = Estimate(value=smaller, method="exact")
    return [
        GateCheck(rule="retained", threshold=0.95, observed=retained, verdict=verdict, reason="over all tasks"),
        GateCheck(rule="compression", threshold=1.2, observed=exact, verdict="PASS" if smaller >= 1.2 else "FAIL"),
    ]


def five_students() -> list[StudentResult]:
    def kept(*values: float) -> dict[str, float]:
        return dict(zip(TASKS, values, strict=True))

    gap = estimate(0.78, 0.13, 1800, method="fieller")
    passing = student(
        "soft-23-layers",
        kept(0.985, 0.972, 0.981),
        1.34,
        "PASS",
        label="23 layers, soft labels",
        control="soft-23-layers-control",
        training=training(6.83, 1.05),
        gap_recovered=gap,
        disagreements=disagreements(130),
        disagreements_total=212,
        verdict_reason="The lower limit, 96.5 %, reaches the gate of 95 %, and no task is below 90 %.",
    )
    control = student(
        "soft-23-layers-control",
        kept(0.91, 0.905, 0.87),
        1.34,
        "FAIL",
        label="23 layers, no teacher",
        role="control",
        control_of="soft-23-layers",
        training=training(6.83, 3.41, "cross-entropy on the same data"),
        made_by="the same start, data and budget without the teacher",
    )
    quantised = student(
        "soft-23-int8",
        kept(0.976, 0.961, 0.968),
        3.92,
        "PASS",
        label="23 layers, soft labels, int8",
        made_by="23 layers, soft labels, then int8 weights",
        measurements=measurements(1.62, None),
        agreement=agreement(13, exact=False),
        disagreements=disagreements(40, "topic"),
        disagreements_total=40,
        warnings=["int8 kernels differ between processors: measure the speed on the machine you deploy to"],
    )
    quantised = with_everything(quantised)
    ruined = student("depth-12", kept(0.97, 0.94, 0.346), 2.1, "FAIL", label="12 layers", required=False)
    return [passing, control, quantised, ruined, crashed(), hostile()]


def crashed() -> StudentResult:
    return student(
        "from-scratch",
        {},
        8.0,
        "INVALID",
        label="from scratch",
        compression={"bytes_on_disk": None, "params_unique": None},
        footprint=Footprint(note="the model was never made"),
        gate=[],
        verdict_reason="The training cell failed: there is nothing to compare.",
    )


def hostile() -> StudentResult:
    samples = [
        Disagreement(
            task="sentiment",
            sample_id="=HYPERLINK(1)",
            kind="lost",
            prompt=f"{HOSTILE}<img src=x onerror=alert(2)> \u202eabc\u2028 \ud800 {{{{ 7*7 }}}} ```",
            label="@SUM(1)",
            teacher="+1",
            student="-1",
        )
    ]
    wide = Estimate(value=0.962, lo=0.9497, hi=None, n=600, method="fieller")
    found = student(
        "hostile",
        dict(zip(TASKS, (0.95, 0.93, 0.952), strict=True)),
        1.9,
        "INCONCLUSIVE",
        label=f"{HOSTILE} \u202e<b>%{{x}}",
        made_by="prune & fine-tune <em>with</em> ${7*7}",
        disagreements=samples,
        disagreements_total=1,
        warnings=[f"odd name: {HOSTILE}"],
        verdict_reason="The interval holds the gate; about 2,900 samples would decide.",
    )
    found = with_everything(found, hostile=f"{HOSTILE} <b>group</b>")
    return found.model_copy(update={"suite": found.suite.model_copy(update={"retained": wide})})


def result_of(students: list[StudentResult], **more: Any) -> Result:
    teacher = TeacherResult(
        name="teacher",
        label="Teacher-135M",
        source="hub: example/teacher-135m@0123abc",
        identity="sha256:" + "c0ffee" * 10,
        footprint=Footprint(
            bytes_on_disk=TEACHER_BYTES, params_unique=134_515_008, params_non_embedding=106_203_456, dtype="float32"
        ),
        scores={**dict.fromkeys(TASKS, 0.88), "riddles": 0.252},
        again=again(),
        notes=["opened from safetensors; no remote code"],
    )
    return Result(
        **{
            "run": "synthetic-20260101T000000Z-00000000",
            "suite": "synthetic-suite",
            "description": "SYNTHETIC: invented numbers that exercise the report.",
            "created_at": "2026-01-01T00:00:00Z",
            "distbench": "0.1.0",
            "alpha": 0.05,
            "thresholds": {"retained": 0.95, "task_floor": 0.90, "compression": 1.2, "speedup": None},
            "verdict": "PASS",
            "verdict_reason": "2 of 3 required students pass; the smallest is 3.92 times smaller than the teacher.",
            "recommended": "soft-23-int8",
            "teachers": [teacher],
            "students": students,
            "trade_offs": [trade_off(students)] if students else [],
            "cells": cells(),
            "host": HostFacts(
                fingerprint="f" * 16, cpu="Example CPU", cores=2, memory_bytes=8_000_000_000, os="Linux", python="3.11"
            ),
            "packages": {"torch": "2.11.0", "transformers": "5.17.0"},
            "settings": {"seed": 0, "device": "cpu", "threads": 2, "dtype": "float32"},
            "warnings": ["the CPU governor is not “performance”: times may drift"],
            **more,
        }
    )


def cells() -> list[CellSummary]:
    return [
        CellSummary(
            id="a1" * 8,
            kind="make",
            title="make soft-23-layers",
            status="done",
            seconds=354.0,
            peak_memory_bytes=3_100_000_000,
        ),
        CellSummary(id="b2" * 8, kind="evaluate", title="teacher on sentiment", status="cached", seconds=41.2),
        CellSummary(
            id="c3" * 8, kind="make", title="make from-scratch", status="failed", error=f"out of memory {HOSTILE}"
        ),
        CellSummary(id="d4" * 8, kind="evaluate", title="from-scratch on topic", status="missing"),
    ]


def off_range() -> StudentResult:
    return student("tiny", dict(zip(TASKS, (0.31, 0.22, 0.28), strict=True)), 9.6, "FAIL", label="4 layers")


@pytest.fixture(scope="session")
def synthetic() -> Result:
    """Six students: control, quantised, ruined on one task, crashed, hostile, and one far below the gate."""
    return result_of([*five_students(), off_range()])


@pytest.fixture(scope="session")
def many() -> Result:
    """24 students with 300 samples each."""
    students = [
        student(
            f"student-{number:02d}",
            dict(zip(TASKS, (1.0 - number * 0.009, 0.995 - number * 0.011, 0.99 - number * 0.012), strict=True)),
            1.3 * 1.11**number,
            "PASS" if number < 2 else "INCONCLUSIVE" if number < 5 else "FAIL",
            label=f"Family {'ABCD'[number % 4]}, size {number}",
            disagreements=disagreements(300, text=f"text {number}"),
            disagreements_total=1000,
        )
        for number in range(24)
    ]
    return result_of(students, recommended="student-01")


@pytest.fixture(scope="session")
def empty() -> Result:
    """A run of which nothing finished."""
    return result_of(
        [],
        teachers=[],
        recommended=None,
        verdict="INVALID",
        verdict_reason="No cell finished.",
        cells=[],
        host=None,
        packages={},
        settings={},
        thresholds={},
        warnings=[],
    )


@pytest.fixture(scope="session")
def sizes_only() -> Result:
    """Students without a task and without a measurement: only their sizes are known."""
    bare = student("bare", {}, 2.0, "INVALID", label="bare", gate=[])
    return result_of([bare], recommended=None, verdict="INVALID", verdict_reason="Nothing was scored.", warnings=[])
