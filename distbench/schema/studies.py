"""What several training runs, or the students of a grid, say together."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from distbench.schema.estimate import Estimate, Verdict
from distbench.schema.strict import Strict


class SeedRow(Strict):
    """One training run of a student that is trained with several seeds; `control`: its own control's scores."""

    seed: int
    name: str
    scores: dict[str, float | None] = Field(description="task → mean score")
    control: dict[str, float | None] = {}
    retained: Estimate
    verdict: Verdict = Field(description="of its retention alone")
    gap_recovered: Estimate | None = None


class SeedTask(Strict):
    """One task over all training runs. `student` and `control` are mean scores, over seeds and items."""

    task: str
    metric: str
    higher_is_better: bool
    student: Estimate
    control: Estimate | None = None
    delta: Estimate | None = Field(
        None, description="distilled − control, + is better, paired by seed: over training runs on these test items"
    )
    delta_both: Estimate | None = Field(None, description="the same over training runs and test items")


class SeedSpread(Strict):
    """What several training runs of one recipe say of the method. Intervals cover training runs and test items."""

    rows: list[SeedRow]
    tasks: list[SeedTask] = []
    others: list[SeedTask] = Field(
        [], description="metrics without a retention: bits per byte, divergence from the teacher, held-out KL"
    )
    retained: Estimate = Field(description="of the mean over seeds")
    control_retained: Estimate | None = None
    gap_recovered: Estimate | None = None
    deviation: float | None = Field(None, description="standard deviation of the retained share between seeds")
    missing: list[int] = Field([], description="seeds that did not finish, on either side")

    @property
    def every(self) -> list[SeedTask]:
        """What has a retention first, then the other metrics."""
        return [*self.tasks, *self.others]


class StudyAxis(Strict):
    """One thing that a study varies. `amount`: a number of examples, so there is a data-efficiency curve."""

    name: str
    values: list[Any]
    amount: bool = False


class StudyEntry(Strict):
    """One point of a study: a student, and its control beside it."""

    at: dict[str, Any]
    student: str
    control: str | None = None
    seeds: int = Field(1, description="training runs that finished")
    retained: Estimate
    control_retained: Estimate | None = None
    scores: dict[str, Estimate] = Field({}, description="task → mean score")
    control_scores: dict[str, Estimate] = {}
    gap_recovered: Estimate | None = None


class Study(Strict):
    """Students that differ in what a grid varied, with one teacher."""

    name: str
    teacher: str
    axes: list[StudyAxis]
    entries: list[StudyEntry]
