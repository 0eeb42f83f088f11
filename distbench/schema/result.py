"""The comparison: one document that the terminal, the report, the gate and every export read."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from distbench.schema.circumstances import Asked as Asked  # noqa: PLC0414
from distbench.schema.circumstances import Surroundings as Surroundings  # noqa: PLC0414
from distbench.schema.estimate import Estimate as Estimate  # noqa: PLC0414 - part of this document for its readers
from distbench.schema.estimate import Verdict as Verdict  # noqa: PLC0414
from distbench.schema.merged import MergedRun
from distbench.schema.record import Agreement, Footprint, HostFacts, Training
from distbench.schema.strict import Strict
from distbench.schema.studies import SeedSpread, Study
from distbench.schema.suite import Control, StudyPoint
from distbench.schema.trusted import Trusted


class Fidelity(Strict):
    """Does the student say what the teacher says, right or wrong? None = the task has no such statement."""

    agreement: Estimate | None = Field(None, description="share of items with the same answer")
    churn: Estimate | None = Field(None, description="share of items whose answer changes: 1 − agreement")
    cohen_kappa: Estimate | None = Field(None, description="agreement beyond chance, on items that both answered")
    negative_flips: Estimate | None = Field(None, description="share of items: teacher right, student wrong")
    positive_flips: Estimate | None = Field(None, description="share of items: teacher wrong, student right")
    retained_knowledge: Estimate | None = Field(None, description="P(student right | teacher right)")
    text_overlap: dict[str, Estimate] = Field({}, description="student's text against the teacher's, 0 to 1")


class Beside(Strict):
    """One number of the teacher and of the student. `delta` is paired and oriented: + means the student is better."""

    teacher: float | None
    student: float | None
    delta: Estimate | None = None
    reason: str | None = Field(None, description="why a side has no value")


class ReliabilityBin(Strict):
    """Answers whose confidence lies in (lo, hi]: how sure the model was, and how often it was right."""

    lo: float
    hi: float
    n: int
    confidence: float | None
    accuracy: float | None


class Calibration(Strict):
    """Do the stated probabilities hold? ECE, ACE, AURC and accuracy at coverage are for display: no interval."""

    metric: str = Field(description="the 0/1 metric that says which predictions are right")
    n: int
    brier: Beside = Field(description="mean (confidence − right)²; 0 is best")
    nll: Beside | None = Field(None, description="mean −ln P(label), nats; None = the task gives no such probability")
    ece: Beside
    ace: Beside
    aurc: Beside
    accuracy_at: dict[str, Beside] = Field({}, description="accuracy on the most confident share of the items")
    teacher_bins: list[ReliabilityBin] = []
    student_bins: list[ReliabilityBin] = []


class GroupResult(Strict):
    """One group of a task. A group of fewer than 30 samples is listed, not judged."""

    group: str
    n: int
    teacher: float | None
    student: float | None
    retained: Estimate
    judged: bool
    verdict: Verdict | None = Field(None, description="against the floor, FAIL only after Holm; None = not judged")
    reason: str | None = None


class GroupDimension(Strict):
    """The groups of one dimension, such as dialect."""

    dimension: str
    floor: float
    groups: list[GroupResult]
    worst_group: str | None = None
    worst_group_retained: Estimate | None = None
    gap_growth: float | None = Field(
        None,
        description="(max − min of the student's group means) − the teacher's; above 0 groups are treated less alike",
    )
    reason: str | None = Field(None, description="why there is no worst group or no growth")


class LengthBucket(Strict):
    """Samples of one nominal context length (tokens, upper limit of the bucket)."""

    length: int
    n: int
    teacher: float | None
    student: float | None
    retained: Estimate
    verdict: Verdict


class ContextCurve(Strict):
    """Retention over the context length."""

    margin: float
    buckets: list[LengthBucket]
    effective_length: int | None = Field(
        None, description="the longest bucket that passes at the margin, as do all shorter ones; None = none does"
    )


class Bias(Strict):
    """A bias rate of teacher and student. Closer to neutral is better."""

    metric: str
    neutral: float
    n: int
    teacher: Estimate
    student: Estimate
    transfer: Estimate = Field(description="student − teacher")
    drift: Estimate = Field(description="|student − neutral| − |teacher − neutral|: above 0 the student is further off")
    inherited: Estimate = Field(description="P(student biased | teacher biased)")
    closer_to_neutral: bool | None = None


class Divergence(Strict):
    """A statement about the student against its teacher that has no teacher side, such as KL in nats per token."""

    task: str
    metric: str
    primary: bool
    higher_is_better: bool
    n: int = Field(description="documents")
    value: Estimate
    infinite: int = Field(0, description="documents whose value is infinite; they are counted, never clipped")


class TaskResult(Strict):
    """One student on one task beside its teacher. `teacher` and `student` are mean scores.

    `gated` is False where no rule asks for this metric (bits per byte, a bias rate): it is shown, not judged, and
    `verdict` says no more than INCONCLUSIVE.
    """

    task: str
    metric: str
    higher_is_better: bool
    baseline: float
    n: int
    teacher: float | None
    student: float | None
    retained: Estimate
    retained_raw: Estimate
    delta: Estimate
    gap_recovered: Estimate | None = None
    fidelity: Fidelity = Fidelity()
    calibration: Calibration | None = None
    groups: list[GroupDimension] = []
    context: ContextCurve | None = None
    bias: list[Bias] = []
    byte_perplexity_ratio: Estimate | None = Field(None, description="teacher ÷ student; above 1 the student is better")
    notes: list[str] = Field([], description="what could not be computed, and why")
    failed: int = Field(0, description="answers of either side that crashed or could not be parsed")
    gated: bool = True
    verdict: Verdict
    reason: str | None = None
    other_metrics: dict[str, tuple[float, float]] = Field({}, description="metric → (teacher, student)")
    asked: Asked = Asked()


class PercentileFacts(Strict):
    """A percentile of raw times in ms, and an upper 95 % bound of the true one; None: `n` is below what it `needs`."""

    percent: float
    value: float | None
    upper: float | None
    n: int
    needs: int


class Measurement(Strict):
    """One metric under one workload on both sides. `ratio` is oriented: above 1 the student is better."""

    meter: str
    metric: str
    unit: str
    workload: str
    device: str | None = Field(None, description="set where the suite names the devices to measure on")
    higher_is_better: bool
    teacher: float | None = Field(description="median")
    student: float | None = Field(description="median")
    ratio: Estimate
    n: int
    teacher_percentiles: list[PercentileFacts] = Field([], description="of times only")
    student_percentiles: list[PercentileFacts] = []
    teacher_times: list[float] = Field(
        [],
        description="of times only: every value in ms, sorted; of more than 100, those at 1 %, 2 %, …, 100 % of them",
    )
    student_times: list[float] = []
    status: Literal["measured", "estimated", "not_measurable"]
    reason: str | None = None
    remedy: str | None = Field(None, description="what to do where there is no value")
    scope: str | None = Field(None, description="what both sides' readings cover, such as GPU board")
    facts: dict[str, dict[str, float | str]] = Field(
        {}, description="about the instrument, by side: teacher and student"
    )
    estimates: dict[str, tuple[float, float]] = Field(
        {}, description="status estimated: (least, most) by side; there is no median and no ratio"
    )


class GateCheck(Strict):
    """One rule of the gate, with what it saw; `task` where the rule is about one task."""

    rule: str
    task: str | None = None
    metric: str | None = Field(None, description="of the task, or that was measured, where it is about one")
    workload: str | None = Field(None, description="of a measurement")
    threshold: float
    direction: Literal["at_least", "at_most"] = "at_least"
    required: bool = Field(True, description="false: shown, but the student's verdict does not depend on it")
    observed: Estimate
    verdict: Verdict
    reason: str | None = None

    @property
    def sign(self) -> str:
        """How the observed number must relate to the threshold."""
        return "≥" if self.direction == "at_least" else "≤"

    @property
    def title(self) -> str:
        """The rule, and the task or measurement that it is about."""
        if self.rule == "measured":
            return " ".join(part for part in (self.metric, self.workload) if part)
        return self.rule if self.task is None else f"{self.rule} {self.task}"


class SuiteScore(Strict):
    """The student over all tasks."""

    retained: Estimate
    mean_of_ratios: float | None = None
    worst_task: str | None = None
    verdict: Verdict
    reason: str | None = None
    left_out: list[str] = []
    looks: int | None = Field(None, description="looks taken at growing samples; null: a fixed number of samples")
    samples: dict[str, tuple[int, int]] = Field({}, description="task → (samples used, samples that there are)")


class Disagreement(Strict):
    """One sample that the teacher and the student answer differently in correctness."""

    task: str
    sample_id: str
    kind: Literal["lost", "won"]
    prompt: str
    label: str
    teacher: str
    student: str
    groups: dict[str, str] = Field({}, description="dimension → group of the sample, such as dialect → rural")


class StudentResult(Strict):
    """One student beside its teacher."""

    name: str
    label: str
    role: Literal["student", "control"]
    of: list[str]
    control_of: str | None = None
    control: str | None = Field(None, description="name of this student's no-teacher control")
    kind: Control | None = Field(None, description="of a control")
    study: StudyPoint | None = None
    required: bool
    made_by: str = Field(description="the recipe in words")
    identity: str | None = Field(
        None, description="hash of its files or of the recipe that made it, and how it is opened; None: not recorded"
    )
    weights: str | None = Field(None, description="digest of the weights, where this run made them")
    trusted: Trusted | None = Field(None, description="what had to be allowed so that it could be opened")
    measured_on: Surroundings | None = Field(None, description="None: not measured, or not recorded")
    run: str | None = Field(None, description="in a merged result: the run that it is of, in words")
    compression: dict[str, float | None]
    footprint: Footprint
    initial: dict[str, Any] | None = Field(
        None, description="what its initialiser chose before it was trained, such as the blocks it kept"
    )
    training: Training | None = None
    agreement: Agreement | None = Field(None, description="of an exported student with the model it was exported from")
    tasks: list[TaskResult]
    suite: SuiteScore
    task_groups: dict[str, SuiteScore] = Field({}, description="retention of tasks that were named as a group")
    divergence: list[Divergence] = []
    measurements: list[Measurement]
    gap_recovered: Estimate | None = Field(None, description="of this model; with several seeds, of the method")
    seeds: SeedSpread | None = Field(None, description="all its training runs, where it was trained with several seeds")
    gate: list[GateCheck] = []
    verdict: Verdict
    verdict_reason: str
    disagreements: list[Disagreement] = []
    disagreements_total: int = 0
    warnings: list[str] = []


class TeacherResult(Strict):
    """A teacher: where it came from, its size, and its own scores."""

    name: str
    label: str
    source: str
    identity: str
    footprint: Footprint
    scores: dict[str, float | None]
    training: Training | None = None
    again: list[Measurement] = Field(
        [], description="a second process of the teacher in place of a student: what two equal models measure as"
    )
    notes: list[str] = []
    trusted: Trusted | None = Field(None, description="what had to be allowed so that it could be opened")


class TradeOffPoint(Strict):
    """A model in the plane of what it keeps and what it saves."""

    name: str
    compression: float
    retained: Estimate
    on_front: bool
    front_probability: float | None = Field(
        None, description="P(on the front), R drawn from its interval; None = no interval"
    )


class TradeOff(Strict):
    """The Pareto front of a teacher and its students: more retained, more compression."""

    teacher: str
    kind: str = Field(description="kind of compression")
    points: list[TradeOffPoint]
    hypervolume: float | None = Field(
        None,
        description="area under the front: retained × log2(compression), reference (0, 0); None = no student is on it",
    )
    reason: str | None = None


class CellSummary(Strict):
    """One cell in the provenance table."""

    id: str
    kind: str
    title: str
    status: Literal["done", "cached", "failed", "missing"]
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    error: str | None = None
    seal: str | None = Field(None, description="hash of its files' sums: exactly this record was compared")


class Result(Strict):
    """Everything `distbench compare RUN --json` prints."""

    result_schema: Literal[1] = 1
    run: str
    suite: str
    description: str | None = None
    created_at: str
    distbench: str
    alpha: float
    thresholds: dict[str, float | None]
    suite_rule: str = "default"
    task_floors: dict[str, float] = Field({}, description="floors of single tasks")
    verdict: Verdict
    verdict_reason: str
    recommended: str | None = None
    teachers: list[TeacherResult]
    students: list[StudentResult]
    trade_offs: list[TradeOff] = []
    studies: list[Study] = []
    cells: list[CellSummary]
    host: HostFacts | None = None
    packages: dict[str, str] = {}
    settings: dict[str, Any] = {}
    warnings: list[str] = []
    runs: list[MergedRun] = Field([], description="of which this was merged; empty: it is one run")
    conflicts: list[str] = Field([], description="in a merged result: what differs between the runs")
