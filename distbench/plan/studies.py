"""Several training runs of one student: what changes with the seed, and what must not.

The seed of a run decides its initialisation, the order of its data, and what its data source draws (labels, texts).
The suite's seed stays everywhere else: the teacher is trained once, and every run answers the same test items.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distbench.errors import UsageError
from distbench.schema.cell import Settings
from distbench.schema.plan import PlannedModel
from distbench.schema.suite import DistilSpec, StudentSpec, StudyPoint


@dataclass(frozen=True)
class TrainingRun:
    """One training of a student; the first is the student itself. `seed` is None where there is only this one."""

    settings: Settings
    seed: int | None = None
    first: bool = True

    def name(self, student: str) -> str:
        """Return what the model is called; `@` is in no name that a suite can give."""
        return student if self.first else f"{student}@seed{self.seed}"

    def label(self, student: str) -> str:
        """Return what reports print."""
        return student if self.first else f"{student}, seed {self.seed}"


def training_runs(spec: StudentSpec, settings: Settings) -> list[TrainingRun]:
    """Return the trainings that a student asks for."""
    if spec.distil is None or spec.distil.seeds is None:
        return [TrainingRun(settings)]
    seeds = spec.distil.training_seeds(settings.seed)
    return [
        TrainingRun(settings.model_copy(update={"seed": seed}), seed, first=not place)
        for place, seed in enumerate(seeds)
    ]


def as_trained(distil: DistilSpec) -> DistilSpec:
    """Return what decides a training: not what is trained beside it, nor the names of those who teach."""
    return distil.model_copy(update={"seeds": None, "control": "none", "teachers": None})


def check_untrained(spec: StudentSpec, *, parent: bool) -> None:
    """Raise UsageError where a student as it starts is no model; `parent`: its init starts from one."""
    if spec.init is None and spec.source is None:
        raise UsageError(
            f"student {spec.name!r}: control untrained: it starts as its teacher; give it an 'init' or a 'source'"
        )
    if spec.init is not None and not parent:
        raise UsageError(
            f"student {spec.name!r}: control untrained: init {spec.init.use!r} gets its shape from the data that it "
            "learns, so before the training there is no model"
        )


@dataclass(frozen=True)
class StudySize:
    """A study as it was planned: its students, and what differs between them, in the order of the suite."""

    name: str
    students: int
    axes: dict[str, list[object]]


def studies_of(models: Sequence[PlannedModel]) -> list[StudySize]:
    """Return the studies of a plan; controls and further training runs are no points of their own."""
    found: dict[str, list[StudyPoint]] = {}
    for model in models:
        if model.study is not None and model.role == "student" and model.seed_of is None:
            found.setdefault(model.study.name, []).append(model.study)
    return [StudySize(name, len(points), axes_of([point.at for point in points])) for name, points in found.items()]


def axes_of(points: Sequence[Mapping[str, object]]) -> dict[str, list[object]]:
    """Return what varies between points, with its values in the order in which they come."""
    axes: dict[str, list[object]] = {}
    for point in points:
        for name, value in point.items():
            values = axes.setdefault(name, [])
            if not any(type(each) is type(value) and each == value for each in values):
                values.append(value)
    return axes
