"""Does one model's evidence look like another's? What a copied record, a stale cache or a wrong path would look like.

Two models can answer alike; they cannot compute the same probabilities to the last bit, and no clock reads the same
times twice. So equal numbers are suspicious, and equal words are worth a look.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

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
    """One model's answers on a task: a hash of all their numbers (None: too few differ), and of all answers."""

    model: PlannedModel
    numbers: str | None
    digest: str


def answers(subject: Subject, look: Look) -> None:
    """No two models with different weights gave the same answers."""
    models: dict[str, PlannedModel] = {}
    for model in subject.manifest.models:
        models.setdefault(model.ref.identity, model)
    by_task: dict[str, list[_Answered]] = {}
    for task, identity, parts in _evaluations(subject):
        if identity in models:
            look.saw()
            digest = text_digest(each.result.answers_digest for each in parts)
            by_task.setdefault(task, []).append(_Answered(models[identity], _numbers(parts), digest))
    for task, answered in by_task.items():
        for alike in _groups((each.numbers, each) for each in answered):
            _same_numbers(subject, task, alike, look)
        for alike in _groups((each.digest, each) for each in answered):
            _same_words(subject, task, alike, look)


def _evaluations(subject: Subject) -> Iterator[tuple[str, str, list[Evaluated]]]:
    """Yield (task, model's identity, parts in their order)."""
    found: dict[tuple[str, str], list[Evaluated]] = {}
    for _, evaluated in files(subject):
        if not all(facts.reference for facts in evaluated.result.metrics):  # two may be as far from one teacher
            found.setdefault((evaluated.cell.task.title, evaluated.cell.model.identity), []).append(evaluated)
    for (task, identity), parts in found.items():
        yield task, identity, sorted(parts, key=lambda one: one.cell.task.part.start if one.cell.task.part else 0)


def _groups(keyed: Iterable[tuple[str | None, _Answered]]) -> list[list[_Answered]]:
    found: dict[str, list[_Answered]] = {}
    for key, each in keyed:
        if key is not None:
            found.setdefault(key, []).append(each)
    return [alike for alike in found.values() if len(alike) > 1]


def _same_numbers(subject: Subject, task: str, alike: list[_Answered], look: Look) -> None:
    first, *others = alike
    for other in others:
        if weights_of(subject, first.model) != weights_of(subject, other.model):
            what = "the same probabilities to the last bit on every document, although the weights differ"
            for model in (first.model, other.model):
                if model.role != "teacher":
                    judged = model.control_of or model.seed_of or model.name
                    look.suspicious(f"{first.model.name} and {other.model.name} on {task}", what, judged)


def _same_words(subject: Subject, task: str, alike: list[_Answered], look: Look) -> None:
    first, *others = alike
    for other in others:
        told = first.numbers is not None and first.numbers == other.numbers
        if not told and weights_of(subject, first.model) != weights_of(subject, other.model):
            what = "every answer is the same although the weights differ: a near copy may do that; look"
            look.warning(f"{first.model.name} and {other.model.name} on {task}", what)


def _numbers(parts: Sequence[Evaluated]) -> str | None:
    """Return a hash of the numbers that a model gave its answers, whatever the order of the documents."""
    found: list[NDArray[np.float64]] = []
    for evaluated in parts:
        for facts in evaluated.result.metrics:
            side = _side(evaluated, facts.name)
            found += [side.numbers[name] for name in NUMBERS if side is not None and name in side.numbers]
    values = np.sort(np.concatenate(found)) if found else np.empty(0)
    values = values[~np.isnan(values)]
    if np.count_nonzero(np.diff(values)) + 1 < FEW:
        return None
    return hashlib.sha256(values.tobytes()).hexdigest()


def _side(evaluated: Evaluated, metric: str) -> Side | None:
    try:
        return evaluated.side(metric)
    except RefusedError:
        return None


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
