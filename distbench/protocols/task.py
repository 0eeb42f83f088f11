"""What a task asks, and what it returns: one row a document and metric."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import BaseModel

from distbench.protocols.work import Shape, Work
from distbench.schema.cell import Settings
from distbench.schema.record import DrawnFacts, MetricKind, SampleStatus, ScorerFacts
from distbench.schema.suite import TaskSpec

Progress = Callable[[int, int, str], None]
"""Called with (done, total, what): how far a cell is. Cheap; call it as often as a unit of work ends."""


@dataclass(frozen=True)
class Sample:
    """One row of samples.parquet: one document under one metric. The only input of the statistics."""

    task: str
    sample_id: str
    metric: str
    score: float | None
    status: SampleStatus = "ok"
    cluster: str | None = None
    groups: dict[str, str] = field(default_factory=dict)  # subgroup dimension → value, such as {"dialect": "AAVE"}
    length: int | None = None  # of the context, in the task's nominal tokens: what a context curve is drawn over
    numerator: float | None = None
    denominator: float | None = None
    prediction: str = ""
    label: str = ""
    prompt: str = ""
    confidence: float | None = None  # probability of the prediction
    label_probability: float | None = None  # probability of the label
    loglikelihood: float | None = None  # of the label (or of the document), nats
    n_bytes: int | None = None  # UTF-8 bytes that `loglikelihood` covers
    answer_digest: str = ""


@dataclass(frozen=True)
class Metric:
    """What a metric means."""

    name: str
    primary: bool
    kind: MetricKind
    higher_is_better: bool = True
    baseline: float = 0.0
    best: float = 1.0
    neutral: float | None = None  # set for a bias rate: the unbiased value; it is compared by transfer, not retention
    reference: bool = False  # a statement about this model against its teacher, such as a divergence: no other side


@dataclass(frozen=True)
class Outcome:
    """What a task returns: every sample under every metric, and what the samples were."""

    samples: list[Sample]
    metrics: list[Metric]
    version: str
    engine: str
    data_digest: str
    prompt_digest: str
    chat_template: str | None = None
    drawn: DrawnFacts | None = None
    scorer: ScorerFacts | None = None


class Task(Protocol):
    """An accuracy measurement. It owns its loop: it asks the model whatever it needs.

    Optional: `reads(spec)`, a class method: the kind of its rows, which a model must have among those that it `learns`.
    `instead`: what a model may offer in place of all `needs`. `check_model(spec, offers, options)`, a class method,
    raises UsageError for a model that offers enough and yet cannot be asked this.
    """

    Options: ClassVar[type[BaseModel]]
    needs: ClassVar[frozenset[str]]

    @classmethod
    def resolve(cls, spec: TaskSpec, directory: Path) -> TaskSpec | list[TaskSpec]:
        """Check the task without loading a model (no torch): paths become absolute, unknown names are refused.

        A name that stands for several tasks gives them all.
        """
        ...

    @classmethod
    def identity(cls, spec: TaskSpec) -> dict[str, Any]:
        """Return what decides the samples besides the spec: digests of data and code, versions."""
        ...

    def __init__(self, spec: TaskSpec) -> None: ...

    def run(self, model: Any, settings: Settings, progress: Progress) -> Outcome:
        """Ask `model` every sample."""
        ...

    def work(self, model: Any, shape: Shape, seed: int) -> Work:
        """Return one unit of what this task asks of a model, at a size: what a meter repeats."""
        ...
