"""Does one model's evidence look like another's? What a copied record, a stale cache or a wrong path would look like.

Two models can answer alike; they cannot compute the same probabilities to the last bit, and no clock reads the same
times twice. So equal numbers are suspicious, and equal words are worth a look.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from distbench.compare.evidence import Evaluated
from distbench.compare.sides import Side
from distbench.errors import RefusedError
from distbench.hashing import text_digest
from distbench.schema.cell import MakeCell
from distbench.schema.plan import PlannedModel
from distbench.schema.record import MakeResult, MeasureResult
from distbench.verify.looking import Look
from distbench.verify.measurements import CLOCK_UNITS
from distbench.verify.samples import files
from distbench.verify.subject import Subject

FEW = 20  # distinct numbers: fewer may be equal by chance, as the leaves of two small trees
NUMBERS = ("confidence", "label_probability", "loglikelihood", "numerator")


@dataclass(frozen=True)
class _Answered:
    """One model's answers on a task: their digest, and what is compared where another has the same."""

    model: PlannedModel
    parts: list[Evaluated]


def answers(subject: Subject, look: Look) -> None:
    """No two models with different weights gave the same answers."""
    models: dict[str, PlannedModel] = {}
    for model in subject.manifest.models:
        models.setdefault(model.ref.identity, model)
    grouped: dict[tuple[str, str], dict[str, list[Evaluated]]] = {}
    by_model: dict[tuple[str, str], list[Evaluated]] = {}
    for _, evaluated in files(subject):
        if all(facts.reference for facts in evaluated.result.metrics):
            continue  # how far a student is from its teacher: two may be as far
        by_model.setdefault((evaluated.cell.task.title, evaluated.cell.model.identity), []).append(evaluated)
    for (task, identity), parts in by_model.items():
        if identity in models:
            look.saw()
            parts.sort(key=lambda one: one.cell.task.part.start if one.cell.task.part else 0)
            said = text_digest(each.result.answers_digest for each in parts)
            grouped.setdefault((task, said), {})[identity] = parts
    for (task, _), alike in grouped.items():
        if len(alike) > 1:
            _alike(subject, task, [_Answered(models[identity], parts) for identity, parts in alike.items()], look)


def _alike(subject: Subject, task: str, alike: list[_Answered], look: Look) -> None:
    first, *others = alike
    for other in others:
        if weights_of(subject, first.model) == weights_of(subject, other.model):
            continue
        where = f"{first.model.name} and {other.model.name} on {task}"
        distinct = _distinct(other.parts)
        if distinct < FEW:
            look.warning(where, "every answer is the same although the weights differ: a near copy may do that; look")
            continue
        what = f"the same {distinct} probabilities to the last bit although the weights differ"
        for model in (first.model, other.model):
            if model.role != "teacher":
                look.suspicious(where, what, model.control_of or model.seed_of or model.name)


def _distinct(parts: Sequence[Evaluated]) -> int:
    """Return how many different numbers a model's answers have: words alone have none."""
    found = 0
    for evaluated in parts:
        for facts in evaluated.result.metrics:
            found = max(found, _different_numbers(_side(evaluated, facts.name)))
    return found


def _side(evaluated: Evaluated, metric: str) -> Side | None:
    try:
        return evaluated.side(metric)
    except RefusedError:
        return None


def _different_numbers(side: Side | None) -> int:
    if side is None:
        return 0
    known = [side.numbers[name] for name in NUMBERS if name in side.numbers]
    return max((np.unique(values[~np.isnan(values)]).size for values in known), default=0)


def weights_of(subject: Subject, model: PlannedModel) -> str:
    """Return what a model's weights are, as far as a hash can tell: made here, exported from here, or loaded."""
    ref = model.ref
    seen: set[str] = set()
    while (made := ref.cell) is not None and made not in seen:
        seen.add(made)
        cell = subject.planned.get(made)
        if isinstance(cell, MakeCell) and cell.deploy is not None and cell.start is not None:
            ref = cell.start  # an export is its source, on another runtime
            continue
        record = subject.records.get(made)
        if record is not None and isinstance(record.result, MakeResult):
            return record.result.weights_digest
        break
    return ref.content or ref.identity


def times(subject: Subject, look: Look) -> None:
    """No two models, and no model and its own second process, have the same readings of a clock."""
    for name, record in subject.records.items():
        result = record.result
        if not isinstance(result, MeasureResult):
            continue
        seen: dict[tuple[float, ...], str] = {}
        for series in result.series:
            if series.unit not in CLOCK_UNITS or len(series.values) < 3 or series.status != "measured":
                continue
            look.saw()
            other = seen.setdefault(tuple(series.values), series.model)
            if other != series.model:
                judged = series.model if series.model in result.models[1:] else None
                what = f"{series.metric} ({series.workload}) of {series.model} is that of {other}, value by value"
                look.suspicious(subject.title(name), what, judged)
