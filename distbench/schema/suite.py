"""The suite file: what is compared, on what, and what counts as good enough."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, StringConstraints

from distbench.schema.limits import Limits
from distbench.schema.resources import Reservations, Reserved
from distbench.schema.strict import Label, Name, Strict, Use
from distbench.schema.training import Launch, TeacherWeights

DEVICE_PATTERN = r"^(auto|cpu|cuda|cuda:\d{1,3}|cuda:GPU-[0-9A-Fa-f-]{1,36})$"
TASK_NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+,:/-]{0,127}$"
DeviceName = Annotated[str, StringConstraints(pattern=DEVICE_PATTERN)]
DType = Literal["auto", "float32", "bfloat16", "float16"]
Control = Literal["no-teacher", "untrained"]
Controls = Literal["no-teacher", "untrained", "none"] | Annotated[list[Control], Field(min_length=1, max_length=2)]
MOST_SEEDS, LARGEST_SEED = 100, 2**31 - 1
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]


class DistilSpec(Use):
    """How a student is trained: a method, the data it sees, and the method's own options."""

    data: Use
    teachers: Annotated[list[Name], Field(min_length=1, max_length=32)] | None = Field(
        None, description="who teaches, teachers or students listed before; those it is 'of' where left out"
    )
    teacher_weights: TeacherWeights | None = Field(
        None, description="of each teacher in their mixture; equal where left out"
    )
    control: Controls = Field(
        "no-teacher",
        description="no-teacher: the same student, data and budget without the teacher is trained beside it; "
        "untrained: the student as it starts",
    )
    seeds: (
        Annotated[int, Field(ge=1, le=MOST_SEEDS)] | Annotated[list[Seed], Field(min_length=1, max_length=MOST_SEEDS)]
    ) | None = Field(
        None, description="train this often, from the suite's seed on, or with these seeds; the first is the student"
    )

    launch: Launch | None = Field(None, description="train in several processes; in this one where left out")

    @property
    def controls(self) -> tuple[str, ...]:
        """The controls that are wanted."""
        given = [self.control] if isinstance(self.control, str) else self.control
        return tuple(each for each in given if each != "none")

    def training_seeds(self, first: int) -> list[int]:
        """Return the seeds to train with, `first` being the suite's."""
        if isinstance(self.seeds, list):
            return list(self.seeds)
        return [(first + k) % (LARGEST_SEED + 1) for k in range(self.seeds or 1)]


class StudyPoint(Strict):
    """Where a student stands in a study. A list in an option makes one point for each of its values."""

    name: Name
    at: Annotated[dict[str, Any], Field(min_length=1, max_length=8)] = Field(
        description="what varies, by name: {labelled: 107, method: soft-labels}"
    )


class FitSpec(Use):
    """How a teacher without a source is trained."""

    data: Use
    launch: Launch | None = Field(None, description="train in several processes; in this one where left out")


class TeacherSpec(Use):
    """A teacher: a model plug-in with a source to load, or with a `fit` step that trains it."""

    source: str | None = Field(
        None, min_length=1, description="hub id[@revision] | directory | file.gguf | pypi:PACKAGE | URL of a server"
    )
    fit: FitSpec | None = None
    label: Label | None = None
    resources: Reserved | None = Field(None, description="what its cells reserve where the suite's differ")


class StudentSpec(Strict):
    """A student: an existing source, or the steps init, distil, quantise and deploy applied to its teacher.

    A list of deployments gives a row to each beside the student itself: the same weights on several runtimes.
    """

    name: Name
    of: Name | Annotated[list[Name], Field(min_length=1)]
    label: Label | None = Field(None, description="free text shown instead of the name")
    use: str | None = Field(None, description="model plug-in that opens it; the teacher's where left out")
    source: str | None = Field(None, min_length=1)
    init: Use | None = None
    distil: DistilSpec | None = None
    quantise: Use | None = None
    deploy: Use | Annotated[list[Use], Field(min_length=1, max_length=16)] | None = Field(
        None, description="the runtime it is exported to; a list: one row each beside the plain student"
    )
    options: dict[str, Any] = Field(
        {}, description="how its model plug-in opens it; as its teacher is opened where left out"
    )
    required: bool = Field(True, description="false: shown, but the gate of the run does not depend on it")
    study: StudyPoint | None = Field(
        None, description="the study that it belongs to, and where; a grid in its options sets this"
    )
    resources: Reserved | None = Field(None, description="what its cells reserve where the suite's differ")

    @property
    def teachers(self) -> list[str]:
        """The teachers' names; the first is the one the student is compared with."""
        return [self.of] if isinstance(self.of, str) else list(self.of)


class Part(Strict):
    """A slice of a task's seeded order: what an early-stopping run asks next. `stop` None: up to the first look."""

    start: int = Field(0, ge=0)
    stop: int | None = Field(None, ge=1)


class TaskSpec(Use):
    """A task: an accuracy measurement that yields one record per sample."""

    name: Annotated[str, StringConstraints(pattern=TASK_NAME_PATTERN)] | None = None
    samples: Annotated[int, Field(ge=1)] | Literal["all"] = "all"
    data: dict[str, Any] | None = Field(None, description="lm-eval: {split: local file}; others: a data plug-in")
    weight: float = Field(1.0, gt=0, le=1000)
    group: str | None = Field(None, description="the lm-eval group that this task was named by; set by the planner")
    part: Part | None = Field(None, description="set by the planner of an early-stopping run")

    @property
    def title(self) -> str:
        """The name that reports print."""
        return self.name or self.use


TaskName = Annotated[str, StringConstraints(pattern=TASK_NAME_PATTERN)]


class TaskGate(Strict):
    """What one task must reach, where it differs from the others."""

    floor: float | None = Field(
        None, gt=0, le=2, description="lower limit of the task's retention; task_floor if unset"
    )
    required: bool = Field(True, description="false: its floor is shown, but no verdict depends on it")


class GateSpec(Strict):
    """What is good enough. Thresholds are fractions of the teacher (retained) and ratios (speed-up).

    Every `max_…` is a ceiling on the upper limit of the interval, task by task.
    """

    retained: float = Field(0.95, gt=0, le=2, description="lower limit of the suite's chance-corrected retention")
    task_floor: float = Field(0.90, gt=0, le=2, description="no task may be significantly below this")
    suite_rule: Literal["default", "every_task"] = Field(
        "default", description="default: the suite's retention decides, no task far below; every_task: each must pass"
    )
    tasks: dict[TaskName, TaskGate] = Field({}, description="floors of single tasks, by name")
    worst_group: float | None = Field(
        None, gt=0, le=2, description="lower limit of the retention in every group of 30 samples or more"
    )
    max_delta_bpb: float | None = Field(None, ge=0, le=100, description="at most so many more bits per byte")
    max_negative_flips: float | None = Field(
        None, ge=0, le=1, description="at most this share of items: teacher right, student wrong"
    )
    max_bias_transfer: float | None = Field(
        None, ge=0, le=1, description="the student's bias at most so much further from neutral than the teacher's"
    )
    max_kl: float | None = Field(None, ge=0, le=1000, description="mean KL(teacher ‖ student) at most, nats per token")
    speedup: float | None = Field(None, gt=0, le=10000, description="required speed-up, teacher time / student time")
    energy: float | None = Field(
        None, gt=0, le=10000, description="required energy ratio, teacher's gross joules / student's; measured only"
    )
    compression: float | None = Field(None, gt=0, le=1e6, description="required compression by bytes on disk")
    alpha: float = Field(0.05, gt=0, lt=0.5, description="two-sided error level of every interval")
    sequential: bool = Field(
        False, description="evaluate in growing seeded blocks and stop as soon as the decision is certain"
    )


class Suite(Strict):
    """A whole suite file."""

    model_config = ConfigDict(title="distbench suite", **Strict.model_config)  # type: ignore[typeddict-item,unused-ignore]

    version: Literal[1]
    name: Name
    description: str | None = Field(None, max_length=2000)
    seed: int = Field(0, ge=0, le=LARGEST_SEED)
    device: DeviceName = "auto"
    devices: Annotated[list[DeviceName], Field(min_length=1, max_length=64)] | None = Field(
        None,
        description="devices to measure on, once for each; models are made and evaluated on 'device' alone, which is "
        "also what is measured where this is left out",
    )
    dtype: DType = "auto"
    threads: int | None = Field(
        None, ge=1, le=1024, description="CPU threads of a cell; the physical cores where left out"
    )
    limits: Limits | None = Field(
        None, description="what a cell may use before it is ended: wall time, memory, silence; enters no id"
    )
    resources: Reservations | None = Field(
        None, description="what a cell reserves where machines are shared: --engine ray, job scripts"
    )
    teachers: Annotated[dict[Name, TeacherSpec], Field(min_length=1)]
    students: Annotated[list[StudentSpec], Field(min_length=1)]
    tasks: list[TaskSpec] = []
    measure: dict[str, dict[str, Any] | None] = {}
    gate: GateSpec | None = None
