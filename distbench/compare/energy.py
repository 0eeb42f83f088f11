"""Energy beside what else is known: joules of a correct answer, and readings that nobody else has of such a model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

from distbench.compare.tasks import Compared
from distbench.schema.record import Footprint, MeasureResult, Series
from distbench.schema.result import Estimate, Measurement

SAMPLES = "gross_joules_per_1000_samples"
METRIC = "gross_joules_per_token"
SCOPE = "GPU board"
SIZES = (6e9, 10e9)  # parameters; other sizes have no anchor
BATCH = 8  # at least
JOULES = (0.05, 0.6)  # a generated token


def implausible_energy(result: MeasureResult) -> list[str]:
    """Return a warning for each model of about 8 billion parameters whose joules a token nobody else has read.

    ML.ENERGY v3 has 0.455 to 0.070 J a generated token for Llama-3.1-8B on one H100 at batch 8 to 512, and 0.444 to
    0.072 for Qwen3-8B (https://ml.energy/leaderboard).
    """
    found = []
    for series in result.series:
        size = result.footprints.get(series.model, Footprint()).params_unique
        if size is None or not SIZES[0] <= size <= SIZES[1] or not _anchored(series):
            continue
        joules = median(series.values)
        if not JOULES[0] <= joules <= JOULES[1]:
            found.append(
                f"{series.model} used {joules:.3g} J a token at {series.workload}; models of its size were read at "
                f"{JOULES[0]:g} to {JOULES[1]:g}: look at the instrument before believing it."
            )
    return found


def _anchored(series: Series) -> bool:
    """Say whether others have read what this series holds: tokens of larger batches, of a whole board."""
    batch = re.fullmatch(r"batch (\d+)", series.workload)
    here = (series.metric, series.scope, series.status) == (METRIC, SCOPE, "measured")
    return here and bool(series.values) and batch is not None and int(batch[1]) >= BATCH


def per_correct_answer(
    measurements: Sequence[Measurement], compared: Sequence[Compared], work: str | None
) -> list[Measurement]:
    """Return joules of a correct answer, for models whose measured work was samples of the task called `work`.

    Joules of a sample over the share that is right; undefined where nothing is. A language model's measured work is
    prompts of a fixed length, not a task's documents, so there is no such number for it.
    """
    task = next((each for each in compared if each.result.task == work and each.pair.facts.kind == "binary"), None)
    samples = [m for m in measurements if (m.meter, m.metric) == ("energy", SAMPLES) and m.status == "measured"]
    return [_per_correct(each, task) for each in samples if task is not None]


def _per_correct(energy: Measurement, task: Compared) -> Measurement:
    teacher = _of_right(energy.teacher, task.result.teacher)
    student = _of_right(energy.student, task.result.student)
    reason = "energy and accuracy were measured apart, so there is no joint interval"
    if teacher is None or student is None:
        reason = "undefined: no answer of the " + ("teacher" if teacher is None else "student") + " is right"
    ratio = Estimate(
        value=None if teacher is None or student is None else teacher / student,
        n=energy.n,
        method="ratio of medians over accuracies",
        status="undefined" if teacher is None or student is None else "no_interval",
        reason=reason,
    )
    return energy.model_copy(
        update={
            "metric": "gross_joules_per_correct_answer",
            "unit": "J/correct answer",
            "teacher": teacher,
            "student": student,
            "ratio": ratio,
            "status": "measured" if ratio.value is not None else "not_measurable",
            "reason": None if ratio.value is not None else reason,
        }
    )


def _of_right(joules_per_thousand: float | None, right: float | None) -> float | None:
    """Return joules a correct answer; None at zero correct."""
    return joules_per_thousand / 1000 / right if joules_per_thousand is not None and right else None
