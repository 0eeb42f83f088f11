"""A study with several training runs a point: a grid of method × labels, one of its points over all data."""

from __future__ import annotations

import itertools
from typing import Any

from distbench.schema.result import Estimate, Result, StudentResult
from distbench.schema.studies import SeedRow, SeedSpread, SeedTask, Study, StudyAxis, StudyEntry
from tests.report.made.estimates import HOSTILE

METHODS, AMOUNTS, TASK = ("soft-labels", "hard-labels"), (30, 300, 3000), "topic"


def near(value: float, half: float = 0.02, **more: Any) -> Estimate:
    return Estimate(**{"value": value, "lo": value - half, "hi": value + half, "n": 600, "method": "x", **more})


def spread(distilled: float, control: float, runs: int = 3) -> SeedSpread:
    rows = [
        SeedRow(
            seed=k, name=f"s@seed{k}",
            scores={TASK: distilled + 0.01 * k, "wiki": 0.91 + 0.001 * k, "held-out data": 0.4 + 0.01 * k},
            control={TASK: control - 0.01 * k, "wiki": 0.915, "held-out data": 0.66},
            retained=near(distilled), verdict="PASS" if k else "FAIL", gap_recovered=near(0.5, 0.2),
        )
        for k in range(runs)
    ]  # fmt: skip
    task = SeedTask(
        task=TASK, metric="acc", higher_is_better=True, student=near(distilled), control=near(control, 0.04),
        delta=near(distilled - control, 0.03, n=runs), delta_both=near(distilled - control, 0.05),
    )  # fmt: skip
    rate = SeedTask(
        task="wiki", metric="bits_per_byte", higher_is_better=False, student=near(0.9123, 0.004),
        control=near(0.9154, 0.004), delta=near(0.0031, 0.0012, n=runs), delta_both=near(0.0031, 0.0018),
    )  # fmt: skip
    kl = SeedTask(
        task="held-out data", metric="heldout_kl", higher_is_better=False, student=near(0.41, 0.02, n=runs),
        control=near(0.66, 0.03, n=runs), delta=near(0.25, 0.04, n=runs),
    )  # fmt: skip
    return SeedSpread(
        rows=rows, tasks=[task], others=[rate, kl], retained=near(distilled), control_retained=near(control, 0.04),
        gap_recovered=near(0.5, 0.2), deviation=0.012,
    )  # fmt: skip


def entry(name: str, at: dict[str, Any], kept: float, control: float | None, seeds: int = 3) -> StudyEntry:
    beside = None if control is None else near(control, 0.04)
    return StudyEntry(
        at=at, student=name, control=None, seeds=seeds, retained=near(kept), control_retained=beside,
        scores={TASK: near(kept)}, control_scores={} if beside is None else {TASK: beside},
        gap_recovered=None if control is None else near(0.5, 0.2),
    )  # fmt: skip


def add_study(result: Result, base: StudentResult, amounts: tuple[int | None, ...] = (*AMOUNTS, None)) -> Result:
    """Return a result with the students of a study, made like `base`, after those that it has already."""
    students: list[StudentResult] = []
    entries: list[StudyEntry] = []
    for number, (method, amount) in enumerate(itertools.product(METHODS, amounts)):
        name = f"kd-{method}-{amount}"
        distilled = 0.8 + 0.02 * number
        taught = method == "soft-labels"
        facts = {"name": name, "label": f"{name} {HOSTILE}", "seeds": spread(distilled, 0.7), "control": None}
        students.append(base.model_copy(update=facts))
        at = {"method": method, "labelled": amount}
        entries.append(entry(name, at, distilled, 0.6 + 0.05 * number if taught else None))
    axes = [
        StudyAxis(name="method", values=list(METHODS)),
        StudyAxis(name="labelled", values=list(amounts), amount=True),
    ]
    study = Study(name=f"kd {HOSTILE}", teacher="teacher", axes=axes, entries=entries)
    return result.model_copy(update={"students": [*result.students, *students], "studies": [study]})
