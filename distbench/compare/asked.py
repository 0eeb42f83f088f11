"""What is asked of one student: the suite's gate, what a policy changes in it, and what it asks beyond."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any

from distbench.schema.policy import (
    AmountRule,
    BaselineRules,
    BytesRule,
    MeasuredRule,
    MetricRules,
    PartRule,
    Policy,
    RatioRule,
    Rules,
    ShareRule,
    TaskRules,
)
from distbench.schema.suite import GateSpec, TaskGate, TaskSpec

# Rules about each task, which one task, or one of its metrics, may have for itself.
OF_TASKS = (
    "max_drop", "max_negative_flips", "max_delta_bpb", "max_bias_transfer", "max_kl", "agreement",
    "retained_knowledge", "token_agreement", "worst_group",
)  # fmt: skip
OF_STUDENTS = ("gap_recovered", "speedup", "memory", "energy", "compression", "parameters", "max_bytes")
RETAINED = ("retained", "task_floor", "suite_rule")  # one rule: the suite's retention, and no task far below
_WITH_WEIGHT = (ShareRule, PartRule, RatioRule, AmountRule, BytesRule)
_IN_GATE = tuple(name for name in (*OF_TASKS, *OF_STUDENTS) if name in GateSpec.model_fields)


@dataclass(frozen=True)
class Limit:
    """A threshold, and whether a verdict depends on it."""

    threshold: float
    required: bool = True


@dataclass(frozen=True)
class OfTask:
    """What one task must reach by its own name or its group's. `metrics`: the same for further metrics of it."""

    floor: Limit | None = None
    limits: Mapping[str, Limit] = field(default_factory=dict)
    metrics: Mapping[str, OfTask] = field(default_factory=dict)
    required: bool = True

    @property
    def empty(self) -> bool:
        """Whether it asks nothing but the floor of every task."""
        return self.floor is None and not self.limits and not self.metrics


@dataclass(frozen=True)
class Asked:
    """Everything that is asked of one student.

    `gate` has the numbers in the suite's own form, for what knows no policy. `retained` None: its retention is not
    judged. `required` None: as the suite says.
    """

    gate: GateSpec
    policy: bool = False
    required: bool | None = None
    retained: Limit | None = None
    limits: Mapping[str, Limit] = field(default_factory=dict)
    tasks: Mapping[str, OfTask] = field(default_factory=dict)
    measured: tuple[MeasuredRule, ...] = ()
    baseline: BaselineRules | None = None

    @property
    def asks(self) -> bool:
        """Whether it asks anything at all."""
        return bool(self.retained or self.limits or self.tasks or self.measured or self.baseline)

    def of_task(self, task: TaskSpec) -> OfTask:
        """Return what is asked of a task by name: its own, and beside it that of its group."""
        found = OfTask()
        for name in (task.group, task.title):
            if name is not None and name in self.tasks:
                found = _joined(found, self.tasks[name])
        return found

    def limit(self, rule: str, task: TaskSpec) -> Limit | None:
        """Return the limit of a rule on a task: its own, else the one of every task."""
        own = self.of_task(task)
        found = own.limits.get(rule, self.limits.get(rule))
        return found if found is None or own.required else replace(found, required=False)


def asked_by_suite(gate: GateSpec) -> Asked:
    """Return what the suite's own gate asks."""
    limits = {name: Limit(value) for name in _IN_GATE if (value := getattr(gate, name)) is not None}
    tasks = {
        name: OfTask(None if each.floor is None else Limit(each.floor, each.required), required=each.required)
        for name, each in gate.tasks.items()
    }
    return Asked(gate, retained=Limit(gate.retained), limits=limits, tasks=tasks)


def asked_of_all(policy: Policy, gate: GateSpec) -> Asked:
    """Return what a policy asks of a student that no section of it names."""
    base = asked_by_suite(gate)
    if policy.extends == "nothing":
        kept = GateSpec(alpha=gate.alpha, sequential=gate.sequential)
        base = Asked(kept)
    if policy.alpha is not None:
        base = replace(base, gate=_with(base.gate, alpha=policy.alpha))
    return _over(replace(base, policy=True), policy)


def asked_of_student(policy: Policy, gate: GateSpec, student: str) -> Asked:
    """Return what a policy asks of one student: of all, then each section whose pattern matches, in its order."""
    found = asked_of_all(policy, gate)
    for pattern, rules in policy.students.items():
        if fnmatchcase(student, pattern):
            found = _over(found, rules)
            found = found if rules.required is None else replace(found, required=rules.required)
    # where nothing is asked there is nothing to miss: the verdict rests on the students that rules are about
    return replace(found, required=False) if found.required is None and not found.asks else found


def _over(base: Asked, rules: Rules) -> Asked:
    """Lay the rules that are written over those that were asked before; an empty one takes a rule away."""
    written = rules.model_fields_set
    limits = _laid(base.limits, rules, (*OF_TASKS, *OF_STUDENTS))
    tasks = {**base.tasks, **{name: _task(base.tasks.get(name, OfTask()), each) for name, each in rules.tasks.items()}}
    measured = {(each.meter, each.metric, each.workload): each for each in (*base.measured, *rules.measured)}
    retained = base.retained
    if written & set(RETAINED) and retained is None:
        retained = Limit(base.gate.retained)
    if "retained" in written:
        retained = limit_of(rules.retained)
    own = {name: value for name in ("task_floor", "suite_rule") if (value := getattr(rules, name)) is not None}
    gate = _with(
        base.gate,
        **own,
        **({} if retained is None else {"retained": retained.threshold}),
        **{name: limits[name].threshold if name in limits else None for name in _IN_GATE},
        tasks=_floors(tasks),
    )
    baseline = _baseline(base.baseline, rules.baseline) if "baseline" in written else base.baseline
    return replace(
        base, gate=gate, retained=retained, limits=limits, tasks=tasks, measured=tuple(measured.values()),
        baseline=baseline,
    )  # fmt: skip


def _floors(tasks: Mapping[str, OfTask]) -> dict[str, TaskGate]:
    """Return the floors of tasks in the suite's form; a task with rules of other kinds only has none there."""
    return {
        name: TaskGate(
            floor=each.floor.threshold if each.floor else None,
            required=each.required and (each.floor is None or each.floor.required),
        )
        for name, each in tasks.items()
        if each.floor is not None or each.empty
    }


def _task(base: OfTask, rules: TaskRules) -> OfTask:
    metrics = {name: _metric(base.metrics.get(name, OfTask()), each) for name, each in rules.metrics.items()}
    required = rules.required if "required" in rules.model_fields_set else base.required
    return replace(_metric(base, rules), metrics={**base.metrics, **metrics}, required=required)


def _metric(base: OfTask, rules: MetricRules) -> OfTask:
    floor = limit_of(rules.floor) if "floor" in rules.model_fields_set else base.floor
    return replace(base, floor=floor, limits=_laid(base.limits, rules, OF_TASKS))


def _joined(group: OfTask, own: OfTask) -> OfTask:
    return OfTask(
        own.floor or group.floor,
        {**group.limits, **own.limits},
        {**group.metrics, **own.metrics},
        group.required and own.required,
    )


def _laid(base: Mapping[str, Limit], rules: Rules | MetricRules, names: Iterable[str]) -> dict[str, Limit]:
    found = dict(base)
    for name in names:
        if name in rules.model_fields_set:
            limit = limit_of(getattr(rules, name))
            found.pop(name, None)
            found |= {} if limit is None else {name: limit}
    return found


def _baseline(base: BaselineRules | None, rules: BaselineRules | None) -> BaselineRules | None:
    if base is None or rules is None:
        return rules
    return base.model_copy(update={name: getattr(rules, name) for name in rules.model_fields_set})


def limit_of(value: Any) -> Limit | None:
    """Return a rule as it is written in a policy: a number, or a threshold with its weight."""
    if value is None:
        return None
    return Limit(value.threshold, value.required) if isinstance(value, _WITH_WEIGHT) else Limit(value)


def _with(gate: GateSpec, **changes: Any) -> GateSpec:
    return GateSpec.model_validate(gate.model_dump() | changes)
