"""Students: one with its control, a quantised one, a ruined one, a crashed one, a hostile one."""

from __future__ import annotations

from typing import Any

from distbench.schema.record import Footprint, Training
from distbench.schema.result import Disagreement, Estimate, GateCheck, StudentResult, SuiteScore, TaskResult
from tests.report.made.beyond import with_everything
from tests.report.made.estimates import HOSTILE, TASKS, TEACHER_BYTES, estimate, fidelity, no_signal
from tests.report.made.measures import agreement, measurements


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
            groups={"dialect": ("urban", "rural")[number % 2]} if task == "topic" else {},
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


def off_range() -> StudentResult:
    return student("tiny", dict(zip(TASKS, (0.31, 0.22, 0.28), strict=True)), 9.6, "FAIL", label="4 layers")


def with_groups_of_tasks(found: StudentResult) -> StudentResult:
    """Return a student with a group of tasks, and a task with a second metric."""
    score = found.suite.model_copy(update={"retained": estimate(0.977, 0.02, 1200)})
    first = found.tasks[0].model_copy(update={"other_metrics": {"acc_norm": (0.871, 0.866)}})
    return found.model_copy(update={"task_groups": {"grammar": score}, "tasks": [first, *found.tasks[1:]]})
