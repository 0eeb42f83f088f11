"""Ask one model one task and keep every sample."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from distbench import plugins
from distbench.errors import RunError
from distbench.hashing import text_digest
from distbench.protocols import Metric, Outcome, Progress
from distbench.schema.cell import EvaluateCell
from distbench.schema.record import EvaluateResult, MetricFacts
from distbench.store.samples import write_samples


def evaluate(cell: EvaluateCell, model: Any, folder: Path, progress: Progress, reference: Any = None) -> EvaluateResult:
    """Write `folder`/samples.parquet and return what the samples mean.

    `reference` is the loaded teacher, for a task that compares the model with it.
    """
    task = plugins.load("tasks", cell.task.use)(cell.task)
    if cell.reference is not None:
        outcome: Outcome = task.run_beside(model, reference, cell.settings, progress)
    else:
        outcome = task.run(model, cell.settings, progress)
    if not outcome.samples:
        raise RunError(f"{cell.title}: 0 samples")
    _refuse_duplicates(outcome, cell.title)
    write_samples(folder / "samples.parquet", outcome.samples)
    return EvaluateResult(
        task=cell.task.title,
        task_version=outcome.version,
        engine=outcome.engine,
        data_digest=outcome.data_digest,
        prompt_digest=outcome.prompt_digest,
        chat_template=outcome.chat_template,
        metrics=[_facts(outcome, metric) for metric in outcome.metrics],
        footprint=model.footprint(),
        scorer=outcome.scorer,
        drawn=outcome.drawn,
        answers_digest=text_digest(sample.answer_digest for sample in outcome.samples),
    )


def _refuse_duplicates(outcome: Outcome, title: str) -> None:
    seen: set[tuple[str, str]] = set()
    for sample in outcome.samples:
        key = (sample.sample_id, sample.metric)
        if key in seen:
            raise RunError(f"{title}: sample {sample.sample_id} came twice under metric {sample.metric}")
        seen.add(key)


def _facts(outcome: Outcome, metric: Metric) -> MetricFacts:
    rows = [sample for sample in outcome.samples if sample.metric == metric.name]
    scores = [sample.score for sample in rows if sample.score is not None]
    mean = float(np.mean(scores)) if scores else None
    if metric.kind == "ratio_of_sums":
        below = sum(s.denominator or 0.0 for s in rows)
        mean = sum(s.numerator or 0.0 for s in rows) / below if below else None
    return MetricFacts(
        name=metric.name,
        primary=metric.primary,
        kind=metric.kind,
        higher_is_better=metric.higher_is_better,
        baseline=metric.baseline,
        best=metric.best,
        neutral=metric.neutral,
        reference=metric.reference,
        n=len(rows),
        mean=mean,
    )
