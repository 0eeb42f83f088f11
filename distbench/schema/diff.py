"""What changed between two runs: one document that terminal, Markdown, page and gate read. A is before, B is after."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from distbench.schema.estimate import Estimate, Verdict
from distbench.schema.strict import Strict

ChangeVerdict = Literal["better", "worse", "unchanged", "cannot_be_told"]
Basis = Literal["paired", "independent", "identical", "none"]
Topic = Literal["model", "weights", "recipe", "training", "size", "task", "gate", "versions", "machine", "settings"]


class RunFacts(Strict):
    """One of the two runs."""

    run: str
    suite: str
    created_at: str
    distbench: str
    verdict: Verdict
    verdict_reason: str
    samples: bool = Field(description="its directory with all samples was read; false: only its result document")


class Fact(Strict):
    """Something that is not the same in both runs, in words. None: that run does not have it, or does not say."""

    topic: Topic
    about: str = Field(description="the model, task, rule or package")
    a: str | None
    b: str | None


class TaskChange(Strict):
    """One model on one task in both runs. Changes are B − A, oriented: + is better.

    `change` is that of the mean score, `retained_change` that of the retained share (of the teacher's skill above
    guessing; a teacher itself retains nothing). `basis` says what the intervals rest on: the same samples in both runs
    (paired), two samples of the task (independent), equal answers (identical), or nothing.
    """

    task: str
    metric: str
    higher_is_better: bool
    score_a: float | None
    score_b: float | None
    n_a: int
    n_b: int
    retained_a: Estimate | None = None
    retained_b: Estimate | None = None
    change: Estimate
    retained_change: Estimate
    basis: Basis
    judged_by: Literal["score", "retained"] = Field(
        "score", description="which of the two changes the verdict rests on"
    )
    tolerance: float = Field(
        description="a change surely within ± this counts as unchanged; in the unit of that change"
    )
    p_value: float | None = Field(None, description="of “no change”, two-sided")
    p_holm: float | None = Field(None, description="the same after Holm over the model's tasks")
    verdict: ChangeVerdict
    reason: str


class MeasureChange(Strict):
    """One measured metric of a student in both runs. Ratios are oriented: above 1 is better.

    `relative` is B's ratio to its teacher ÷ A's: what a busy machine does to both sides cancels. `own` is A's time ÷
    B's time (or the reverse, where more is better), only formed where host, device, threads and versions are equal;
    `teacher` is the same of an unchanged teacher: how far two sessions on that machine are apart.
    """

    meter: str
    metric: str
    unit: str
    workload: str
    a: float | None = Field(description="the student's median")
    b: float | None
    ratio_a: Estimate = Field(description="student against its teacher")
    ratio_b: Estimate
    relative: Estimate
    own: Estimate | None = None
    teacher: Estimate | None = None
    p_value: float | None = None
    p_holm: float | None = None
    verdict: ChangeVerdict
    reason: str


class ModelChange(Strict):
    """A model that both runs have. `same` None: a run does not record what the model is."""

    role: Literal["teacher", "student", "control"]
    name_a: str
    name_b: str
    label_a: str
    label_b: str
    same: bool | None
    required: bool = True
    facts: list[Fact] = []
    tasks: list[TaskChange] = []
    retained_a: Estimate | None = Field(None, description="over all tasks")
    retained_b: Estimate | None = None
    retained_change: Estimate | None = Field(None, description="B − A over the tasks that both runs asked alike")
    basis: Basis = "none"
    tasks_compared: list[str] = Field([], description="tasks that `retained_change` covers")
    p_value: float | None = None
    tolerance: float = 0.0
    verdict: ChangeVerdict = "cannot_be_told"
    reason: str = ""
    verdict_a: Verdict | None = Field(None, description="of the gate of that run")
    verdict_b: Verdict | None = None
    compression_a: float | None = Field(None, description="teacher ÷ student by bytes on disk")
    compression_b: float | None = None
    measurements: list[MeasureChange] = []
    same_surroundings: bool | None = Field(None, description="measured on one machine with the same versions")
    surroundings: str = Field("", description="what differs between the two measurements, in words")


class NamedModel(Strict):
    """A model that only one of the runs has."""

    name: str
    label: str
    role: Literal["teacher", "student", "control"]
    verdict: Verdict | None = None


class Diff(Strict):
    """Everything `distbench diff A B --json` prints."""

    diff_schema: Literal[1] = 1
    a: RunFacts
    b: RunFacts
    alpha: float = Field(description="two-sided error level of every interval of a change")
    margin: float = Field(description="what counts as unchanged: of a score between 0 and 1, or of a retained share")
    added: list[NamedModel] = []
    removed: list[NamedModel] = []
    facts: list[Fact] = Field([], description="about the runs as a whole")
    teachers: list[ModelChange] = []
    students: list[ModelChange] = []
    notes: list[str] = []

    def worse(self) -> list[str]:
        """Return what got surely worse, as "student" or "student, task"; teachers and controls do not count."""
        found = []
        for each in self.students:
            if each.role == "student":
                found += [each.label_b] if each.verdict == "worse" else []
                found += [f"{each.label_b}, {task.task}" for task in each.tasks if task.verdict == "worse"]
        return found
