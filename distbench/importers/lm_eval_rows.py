"""From a task's log to sample rows and what they mean. The one place that calls `rows_of` on logged documents.

lm-eval writes answers to disk as text: a log-likelihood comes back as "-8.25" and a flag as "False". They are restored
before the rows are made, so that an imported score is made by the same code as one of `distbench run`.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from distbench.errors import Position, RefusedError, UsageError
from distbench.importers.lm_eval_log import Log, arguments_of
from distbench.importers.lm_eval_results import TaskFacts
from distbench.protocols import Metric, Sample
from distbench.schema.record import MetricFacts
from distbench.tasks.lm_eval_samples import PREFERRED, rows_of

SCORED = {"multiple_choice", "loglikelihood"}  # answers are (log-likelihood, is it the greedy continuation)
FLOATS = ("score", "numerator", "denominator", "confidence", "label_probability", "loglikelihood")
TOLERANCE = 1e-6
UNREADABLE = (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True)
class LoggedTask:
    """What `rows_of` asks of a task, as the results file tells it."""

    OUTPUT_TYPE: str


@dataclass
class _Tally:
    """One metric over all rows so far."""

    meaning: Metric
    n: int = 0
    scored: int = 0
    total: float = 0.0
    above: float = 0.0
    below: float = 0.0
    baseline: float = 0.0
    kinds: set[str] = field(default_factory=set)

    def add(self, sample: Sample, meaning: Metric) -> None:
        self.n += 1
        self.kinds.add(meaning.kind)
        self.baseline += meaning.baseline
        if sample.score is not None:
            self.scored += 1
            self.total += sample.score
            self.above += sample.numerator or 0.0
            self.below += sample.denominator or 0.0

    @property
    def mean(self) -> float | None:
        if "ratio_of_sums" in self.kinds:
            return self.above / self.below if self.below else None
        return self.total / self.scored if self.scored else None

    def facts(self, name: str, *, primary: bool) -> MetricFacts:
        kind = next(kind for kind in ("ratio_of_sums", "mean", "binary") if kind in self.kinds)
        return MetricFacts(
            name=name, primary=primary, kind=kind, higher_is_better=self.meaning.higher_is_better,
            baseline=self.baseline / self.n, best=self.meaning.best, neutral=self.meaning.neutral, n=self.n,
            mean=self.mean,
        )  # fmt: skip


class RowStream:
    """Makes the rows of one log, one line in memory at a time. `metrics` and `answers_digest` are whole after them."""

    def __init__(self, log: Log, facts: TaskFacts, primary: str | None = None) -> None:
        self.log, self.facts, self._wanted = log, facts, primary
        self._tallies: dict[str, _Tally] = {}
        self._answers = bytearray()

    def rows(self, not_run: np.ndarray) -> Iterator[Sample]:
        """Yield every row of the log, then a row marked `not_run` for each document in `not_run` and each metric.

        Raises RefusedError for a line that cannot be read, or where the scores are not those that were reported;
        UsageError where no metric has a value of single documents.
        """
        for at, sample_id, name, row in self.log.lines():
            yield from self._line(at, sample_id, name, row)
        self._check()
        for sample_id in not_run:
            for label in self._tallies:
                yield Sample(self.facts.name, sample_id.decode(), label, None, status="not_run")

    def metrics(self) -> list[MetricFacts]:
        """Return what each metric means; the one to compare is primary."""
        names = list(self._tallies)
        if self._wanted is not None and self._wanted not in names:
            raise UsageError(f"task {self.facts.name!r} has no metric {self._wanted!r}; it has {', '.join(names)}")
        first = self._wanted or next(
            (name for want in PREFERRED for name in names if name.split(",")[0] == want), names[0]
        )
        return [tally.facts(name, primary=name == first) for name, tally in self._tallies.items()]

    def answers_digest(self) -> str:
        """Return the hash of every answer, whatever the order of the log."""
        rank = np.argsort(np.argsort(np.array(self.log.filters)))[self.log.filter_of]
        order = np.lexsort((rank, self.log.ids))
        answers = np.frombuffer(bytes(self._answers), "S16")
        return hashlib.sha256(self.log.ids[order].tobytes() + answers[order].tobytes()).hexdigest()

    def _line(self, at: Position, sample_id: str, name: str, row: dict[str, Any]) -> Iterator[Sample]:
        try:
            samples, by_name = self._read(restored(row, self.facts.output_type))
        except UNREADABLE as error:
            raise RefusedError(f"this sample cannot be read: {type(error).__name__}: {error}"[:300], at=at) from None
        self._answers += (samples[0].answer_digest if samples else "").ljust(16)[:16].encode()
        for sample in samples:
            label = sample.metric if len(self.log.filters) == 1 else f"{sample.metric},{name}"
            kept = replace(sample, sample_id=sample_id, metric=label, **_not_finite(sample))
            meaning = by_name[sample.metric]
            self._tallies.setdefault(label, _Tally(meaning)).add(kept, meaning)
            yield kept

    def _read(self, row: dict[str, Any]) -> tuple[list[Sample], dict[str, Metric]]:
        """Return the rows of a document. Beside a score that is one, `rows_of` takes a NaN for a metric of no document;
        asked about one metric at a time, it tells an error."""
        values = [row[name] for name in row["metrics"]]
        lost = any(isinstance(value, float) and not math.isfinite(value) for value in values)
        samples: list[Sample] = []
        meanings: list[Metric] = []
        for part in [{**row, "metrics": [name]} for name in row["metrics"]] if lost else [row]:
            more = rows_of(
                name=self.facts.name, logged=[part], higher=self.facts.higher_is_better,
                task=LoggedTask(self.facts.output_type),
            )  # fmt: skip
            samples += more[0]
            meanings += more[1]
        return samples, {meaning.name: meaning for meaning in meanings}

    def _check(self) -> None:
        task = self.facts.name
        if not self._tallies:
            raise UsageError(f"task {task!r} has no metric of single documents, so nothing can be paired; leave it out")
        for label, tally in self._tallies.items():
            key = label if "," in label else f"{label},{self.log.filters[0]}"
            reported = self.facts.reported.get(key)
            if reported is None or tally.mean is None or tally.scored < tally.n or "ratio_of_sums" in tally.kinds:
                continue
            if abs(tally.mean - reported) > TOLERANCE * max(1.0, abs(reported)):
                raise RefusedError(
                    f"the mean {label} of these samples is {tally.mean:.6g}, and the results file says {reported:.6g}: "
                    "they do not belong together",
                    at=Position(str(self.log.path)),
                )


def restored(row: Mapping[str, Any], output_type: str) -> dict[str, Any]:
    """Return a logged row with the types that lm-eval's own code had: numbers as numbers, requests as tuples."""
    arguments = [tuple(a.values()) if isinstance(a, dict) else tuple(a) for a in arguments_of(dict(row))]
    answers = row["filtered_resps"]
    if output_type in SCORED:
        answers = [(float(value), flag in {True, "True"}) for value, flag in answers]
    metrics = {name: _number(row[name]) for name in row["metrics"]}
    return {**row, "arguments": arguments, "filtered_resps": answers, **metrics}


def _number(value: Any) -> Any:
    """Return a metric's value; lm-eval writes numbers of a kind that JSON does not know as text."""
    if not isinstance(value, str):
        return value
    if value in {"True", "False"}:
        return value == "True"
    try:
        return float(value)
    except ValueError:
        return value


def _not_finite(sample: Sample) -> dict[str, Any]:
    """Return replacements for numbers that no record may hold; a NaN score is an error already."""
    values = {name: getattr(sample, name) for name in FLOATS}
    return {name: None for name, value in values.items() if value is not None and not math.isfinite(value)}
