"""The policy file: what a gate asks of every student, of some, of single tasks and metrics, and of the last release.

A rule is a number, or `{threshold: …, required: false}`; an empty one (`speedup:`) drops what the suite asks. What one
student, task or metric must reach stands beside what all must.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, StringConstraints

from distbench.schema.strict import Name, Strict
from distbench.schema.suite import TaskName

OnInconclusive = Literal["fail", "warn", "pass"]
Share = Annotated[float, Field(gt=0, le=2)]
Part = Annotated[float, Field(ge=0, le=1)]
Ratio = Annotated[float, Field(gt=0, le=10000)]
Amount = Annotated[float, Field(ge=0, le=1000)]
Bytes = Annotated[int, Field(ge=1, le=2**62)]
# A student's name in which * stands for any text, ? for one character and [ab] for one of several.
Pattern = Annotated[str, StringConstraints(min_length=1, max_length=128)]


class Rule(Strict):
    """A rule whose threshold stands beside its weight."""

    required: bool = Field(True, description="false: shown, but no verdict depends on it")


class ShareRule(Rule):
    """At least this share of the teacher."""

    threshold: Share


class PartRule(Rule):
    """A share of items."""

    threshold: Part


class RatioRule(Rule):
    """Times better than the teacher."""

    threshold: Ratio


class AmountRule(Rule):
    """In the unit of its metric."""

    threshold: Amount


class BytesRule(Rule):
    """Bytes."""

    threshold: Bytes


class MetricRules(Strict):
    """What one metric of one task must reach."""

    floor: Share | ShareRule | None = Field(None, description="lower limit of the retention")
    max_drop: Amount | AmountRule | None = Field(
        None, description="the score at most so much worse than the teacher's, in the unit of the metric"
    )
    max_negative_flips: Part | PartRule | None = Field(
        None, description="at most this share of items: teacher right, student wrong"
    )
    agreement: Part | PartRule | None = Field(None, description="at least this share of items has the same answer")
    retained_knowledge: Part | PartRule | None = Field(
        None, description="at least this share of what the teacher has right, the student has right"
    )
    max_delta_bpb: Amount | AmountRule | None = Field(None, description="at most so many more bits per byte")
    max_bias_transfer: Part | PartRule | None = Field(
        None, description="bias at most so much further from neutral than the teacher's"
    )
    worst_group: Share | ShareRule | None = Field(
        None, description="lower limit of the retention in every group of 30 samples or more"
    )


class TaskRules(MetricRules):
    """What one task must reach: by its main metric, and by others of its metrics."""

    max_kl: Amount | AmountRule | None = Field(None, description="mean KL(teacher ‖ student) at most, nats per token")
    token_agreement: Part | PartRule | None = Field(
        None, description="at least this share of tokens that both put first (divergence task)"
    )
    required: bool = Field(True, description="false: none of its rules decides")
    metrics: dict[Annotated[str, StringConstraints(min_length=1, max_length=128)], MetricRules] = Field(
        {}, description="rules for metrics that are not the task's main one"
    )


class MeasuredRule(Rule):
    """A ratio to the teacher of something that was measured; what is left out matches everything."""

    metric: Annotated[str, Field(min_length=1, max_length=64)] = Field(description="such as e2e_ms or peak_bytes")
    meter: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    workload: Annotated[str, Field(min_length=1, max_length=128)] | None = Field(None, description="such as batch 8")
    at_least: Ratio = Field(description="times better than the teacher")


class BaselineRules(Strict):
    """How much worse than an earlier run a student may be: the lower limit of the change decides."""

    run: Annotated[str, Field(min_length=1, max_length=4096)] | None = Field(
        None, description="the earlier run, or its result.json; relative to the policy; --baseline overrides it"
    )
    student: Name | None = Field(None, description="the student of the earlier run to compare with; of the same name")
    retained: Part | PartRule | None = Field(None, description="retention of the suite at most so much lower")
    tasks: Part | PartRule | None = Field(None, description="retention of each task at most so much lower")
    speedup: Ratio | RatioRule | None = Field(None, description="at least this part of the speed-up then")
    memory: Ratio | RatioRule | None = Field(None, description="at least this part of the saving of memory then")
    energy: Ratio | RatioRule | None = Field(None, description="at least this part of the saving of energy then")
    compression: Ratio | RatioRule | None = Field(None, description="at least this part of the compression then")


class Rules(Strict):
    """What is asked of a student. Keys that a suite's `gate` has mean the same here."""

    retained: Share | ShareRule | None = Field(None, description="lower limit of the suite's retention")
    task_floor: Share | None = Field(None, description="no task may be significantly below; part of `retained`")
    suite_rule: Literal["default", "every_task"] | None = Field(None, description="as in a suite; part of `retained`")
    worst_group: Share | ShareRule | None = None
    max_drop: Amount | AmountRule | None = Field(None, description="of every task's score, in the unit of its metric")
    max_negative_flips: Part | PartRule | None = None
    max_delta_bpb: Amount | AmountRule | None = None
    max_bias_transfer: Part | PartRule | None = None
    max_kl: Amount | AmountRule | None = None
    agreement: Part | PartRule | None = None
    retained_knowledge: Part | PartRule | None = None
    token_agreement: Part | PartRule | None = None
    gap_recovered: Annotated[float, Field(ge=-10, le=10)] | AmountRule | None = Field(
        None, description="at least this share of the gap between the control and the teacher"
    )
    speedup: Ratio | RatioRule | None = None
    memory: Ratio | RatioRule | None = Field(None, description="required saving of peak memory, teacher / student")
    energy: Ratio | RatioRule | None = None
    compression: Ratio | RatioRule | None = None
    parameters: Ratio | RatioRule | None = Field(None, description="required compression by number of parameters")
    max_bytes: Bytes | BytesRule | None = Field(None, description="the student's weights on disk at most")
    measured: list[MeasuredRule] = Field([], max_length=100, description="ratios of single measurements")
    tasks: dict[TaskName, TaskRules] = {}
    baseline: BaselineRules | None = None
    evidence: Rule = Field(
        Rule(required=True), description="whether suspicious evidence decides; it is shown in any case"
    )


class StudentRules(Rules):
    """What is asked of the students whose name matches."""

    required: bool | None = Field(None, description="whether the gate depends on them; as in the suite where left out")


class Policy(Rules):
    """A whole policy file."""

    model_config = ConfigDict(title="distbench policy", **Strict.model_config)  # type: ignore[typeddict-item,unused-ignore]

    version: Literal[1]
    extends: Literal["suite", "nothing"] = Field(
        "suite", description="suite: the suite's own gate holds where this file says nothing; nothing: only this file"
    )
    alpha: Annotated[float, Field(gt=0, lt=0.5)] | None = Field(
        None, description="two-sided error level of every interval; the suite's where left out"
    )
    on_inconclusive: OnInconclusive | None = Field(None, description="the command line overrides it; fail")
    students: dict[Pattern, StudentRules] = Field({}, description="by name or pattern; a later one overrides")

    def sections(self) -> Iterator[tuple[tuple[str, ...], Rules]]:
        """Yield every set of rules with its path in the file."""
        yield (), self
        for pattern, rules in self.students.items():
            yield ("students", pattern), rules
