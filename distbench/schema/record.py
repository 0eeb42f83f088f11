"""What a finished cell leaves behind."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from distbench.schema.imported import Imported
from distbench.schema.strict import Strict
from distbench.schema.trusted import Trusted

MetricKind = Literal["binary", "mean", "ratio_of_sums"]
SampleStatus = Literal["ok", "error", "not_run"]
SeriesStatus = Literal["measured", "estimated", "not_measurable"]
RatioKind = Literal["paired", "windows"]


class HostFacts(Strict):
    """The machine, as far as it can change a number. `fingerprint` decides whether times may be compared."""

    fingerprint: str
    cpu: str
    cores: int
    memory_bytes: int
    os: str
    python: str
    accelerators: list[str] = Field([], description="those that the cell computed on: name and UUID")
    governor: str | None = None
    turbo: bool | None = Field(None, description="whether the CPU may raise its frequency; None: not exposed")
    affinity: list[int] | None = Field(None, description="CPUs that the cell was allowed to run on")


class Footprint(Strict):
    """The size of a model. `None` = this kind of size does not exist for it."""

    bytes_on_disk: int | None = Field(None, description="weight files only (bytes)")
    params_unique: int | None = Field(None, description="tied tensors counted once")
    params_non_embedding: int | None = None
    dtype: str | None = Field(None, description="what the weights are stored in")
    note: str | None = None


class MetricFacts(Strict):
    """What one metric of a task means; the scores themselves are in samples.parquet."""

    name: str
    primary: bool
    kind: MetricKind
    higher_is_better: bool
    baseline: float = Field(description="score of chance, or of a trivial system")
    best: float
    neutral: float | None = Field(None, description="set for a bias rate: its unbiased value")
    reference: bool = Field(False, description="a statement about this model against its teacher: it has no other side")
    n: int
    mean: float | None


class ScorerFacts(Strict):
    """What computed the log-likelihoods, and how closely it agrees with the model asked one request at a time (nats).

    `close_calls` are documents (index in the data set) whose answer hangs on less than that: another scorer, batch size
    or machine may answer them differently.
    """

    name: Literal["shared-prefix", "hf", "runtime"] = Field(description="runtime: a model that runs outside torch")
    reason: str | None = Field(None, description="why not shared prefixes")
    compared: int = 0
    median_difference: float | None = None
    largest_difference: float | None = None
    tolerance: float
    close_calls: list[str] = Field([], description="at most 100 of them")
    close_calls_total: int = 0
    tokens_asked: int | None = Field(None, description="context and continuation of every request")
    tokens_run: int | None = Field(None, description="after each shared prefix was computed once")


class DrawnFacts(Strict):
    """Which part of a task's seeded draw was asked: documents `start` … `stop` − 1 of `total`."""

    total: int
    start: int
    stop: int
    cluster_sizes: list[int] | None = Field(None, description="of the whole draw, in its order, where it is clustered")


class BatchHalved(Strict):
    """Memory ended while so many were asked at once, and the evaluation went on with half of them."""

    unit: str = Field(description="what the batch counts: tokens, requests or rows")
    before: int
    after: int
    reason: str = Field(description="how much memory was in use, and what the library said")


class EvaluateResult(Strict):
    """One model on one task."""

    kind: Literal["evaluate"] = "evaluate"
    task: str
    task_version: str
    engine: str = Field(description="what computed the scores, with its version")
    data_digest: str
    prompt_digest: str = Field(description="hash of every rendered prompt, in order")
    chat_template: str | None = Field(None, description="hash of the applied template; None = none applied")
    metrics: Annotated[list[MetricFacts], Field(min_length=1)]
    footprint: Footprint
    answers_digest: str = Field(description="hash of every answer; equal digests mean equal outputs")
    scorer: ScorerFacts | None = None
    drawn: DrawnFacts | None = None
    batch_halved: list[BatchHalved] = Field([], description="each time that memory ended and the batch was halved")


class Training(Strict):
    """What a training step did. KL in nats per token (or per example) on held-out data, full vocabulary."""

    method: str
    objective: str
    data: str
    data_digest: str
    examples: int
    units: int = Field(description="tokens for sequence data, examples otherwise; each epoch counts")
    epochs: float
    steps: int | None = None
    seconds: float
    teacher_seconds: float = Field(description="sampling and capturing the teacher's outputs; 0.0 when from the cache")
    from_cache: bool
    heldout_kl_before: float | None = None
    heldout_kl_after: float | None = None
    heldout_n: int = 0
    loss: list[tuple[int, float]] = Field([], description="(step, mean training loss since the last point)")
    heldout: list[tuple[int, float]] = Field(
        [],
        description="looks during the training: (step, held-out KL; without a teacher's distribution, cross-entropy)",
    )
    kept_step: int | None = Field(None, description="the step whose weights were kept; null: the last")
    stopped: str = Field("budget", description="why the training ended: budget | patience | seconds")
    resumed_from: int | None = Field(None, description="step of the checkpoint that a killed training went on from")
    redone_steps: int | None = Field(
        None,
        description="steps that a killed attempt had done after that checkpoint, and that were done again; "
        "it says how far it is about once a second",
    )
    options: dict[str, Any] = {}


class Agreement(Strict):
    """Does an exported model say what its source says? The source computes in float32 on the CPU.

    Greedy tokens count up to the first one that differs: what follows it continues another text. The other numbers are
    teacher-forced over the prompts and the source's own continuations.
    """

    prompts: int
    prompt_kind: Literal["text", "random tokens"]
    exact: bool = Field(description="the export computes in the source's precision, so it must agree")
    greedy_equal: int = Field(description="greedy tokens before the first difference, summed over the prompts")
    greedy_total: int
    first_divergence: int | None = Field(
        description="0-based index of the first token that differs in any prompt; null: none"
    )
    positions: int
    top1: float = Field(description="share of positions where both put the same token first")
    kl: float = Field(description="mean KL(source ‖ export), nats per position; full vocabulary")
    largest_difference: float = Field(description="of a logit: max |source − export|")


class MakeResult(Strict):
    """A model that was made; its files are in the record's `model/` folder."""

    kind: Literal["make"] = "make"
    use: str
    weights_digest: str
    footprint: Footprint
    initial: dict[str, Any] | None = Field(None, description="what the initialiser chose, such as the blocks it kept")
    training: Training | None = None
    agreement: Agreement | None = Field(None, description="of an exported model with its source")
    notes: list[str] = []


class Series(Strict):
    """Raw values of one metric of one model under one workload: never averaged before they are stored."""

    model: str
    meter: str
    metric: str
    unit: str
    higher_is_better: bool
    workload: str
    values: list[float]
    launch: list[int] = Field([], description="process launch of each value")
    pair: list[int] = Field(
        [],
        description="round of each value; equal rounds were measured next to each other, and a round may have several",
    )
    status: SeriesStatus = "measured"
    reason: str | None = Field(None, description="why there is no value, or why some repetitions have none")
    remedy: str | None = Field(None, description="what to do about it")
    method: str | None = Field(None, description="how it was read")
    scope: str | None = Field(None, description="what the reading covers; two scopes are never compared")
    facts: dict[str, float | str] = Field(
        {}, description="about the instrument, units in the names; numbers: the largest of all launches"
    )
    ratio: RatioKind = Field(
        "paired", description="paired: ratios of values of one round; windows: of geometric means over windows"
    )


class WarmUpFacts(Strict):
    """How a workload warmed up in one launch; `settled` false: it was still getting faster when the limit came."""

    model: str
    launch: int
    workload: str = Field(description="meter/name")
    runs: int
    seconds: float
    settled: bool


class MeasureResult(Strict):
    """All series of a teacher and its students, measured in one window."""

    kind: Literal["measure"] = "measure"
    models: list[str]
    series: list[Series]
    footprints: dict[str, Footprint]
    control: str | None = Field(None, description="name of the series of the teacher's second process, if it had one")
    launches: int = 1
    warm_ups: list[WarmUpFacts] = []
    stop_reason: str
    notes: list[str] = []


class CellRecord(Strict):
    """The record of one finished cell."""

    record_schema: Literal[1] = 1
    cell_id: str
    title: str
    started_at: str = Field(description="UTC wall clock, a label only")
    seconds: float | None = Field(description="None: not known, the results were imported")
    peak_memory_bytes: int | None = None
    threads: int | None
    device: str
    host: HostFacts | None = Field(description="None: not known, the results were imported")
    packages: dict[str, str]
    placed: str | None = Field(
        None, description="where an engine put the cell, and what it kept away; None: the machine of the command"
    )
    trusted: list[Trusted] = Field([], description="what had to be allowed so that its models could be opened")
    imported: Imported | None = Field(None, description="set where another tool computed the result")
    result: Annotated[EvaluateResult | MakeResult | MeasureResult, Field(discriminator="kind")]
