"""Every student, task, metric and workload that a policy names must be there: a rule about nothing would never fail."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from distbench import plugins
from distbench.compare.evidence import Evidence
from distbench.errors import UsageError, nearest
from distbench.gate.policy_file import LoadedPolicy, raise_first
from distbench.report import words
from distbench.schema.cell import EvaluateCell
from distbench.schema.plan import PlannedModel
from distbench.schema.policy import MeasuredRule, Rules
from distbench.schema.record import EvaluateResult, MeasureResult, Series
from distbench.schema.suite import TaskSpec
from distbench.schema.wording import Fault, KeyPath, harmless


def check_names(loaded: LoadedPolicy, known: Known) -> None:
    """Raise UsageError, with the place and the nearest names, for the first name in a policy that the run lacks."""
    faults = list(_students(loaded, known))
    for path, rules in loaded.policy.sections():
        faults += [*_tasks(path, rules, known), *_measured(path, rules, known)]
    if faults:
        raise_first(faults, loaded.source)


@dataclass(frozen=True)
class Known:
    """The names of a run. `metrics`: of each task and group, none where nothing of it has finished."""

    models: Sequence[PlannedModel]
    metrics: Mapping[str, set[str]]
    series: Sequence[Series] = ()

    @property
    def students(self) -> list[str]:
        """The students that a gate may judge."""
        return [model.name for model in self.models if model.role == "student" and model.seed_of is None]

    def of_role(self, role: str) -> list[str]:
        """Return the names of teachers, or of controls."""
        return [model.name for model in self.models if model.role == role]


def known_of_plan(models: Sequence[PlannedModel], tasks: Sequence[TaskSpec]) -> Known:
    """Return the names of a run that has not begun: nobody knows yet which metrics it will report."""
    return Known(models, {name: set() for task in tasks for name in (task.title, task.group) if name is not None})


def known_of_run(evidence: Evidence) -> Known:
    """Return the names of a run: what was planned, and what its records report."""
    series = [
        series
        for record in evidence.records.values()
        if isinstance(record.result, MeasureResult)
        for series in record.result.series
    ]
    planned: dict[str, set[str]] = {name: set() for name in evidence.manifest.task_order}
    return Known(evidence.manifest.models, planned | _metrics(evidence), series)


def _metrics(evidence: Evidence) -> dict[str, set[str]]:
    """Return the metrics of each task and of each group of tasks; none where nothing of it has finished."""
    found: dict[str, set[str]] = {}
    for cell_id, cell in evidence.cells.items():
        if not isinstance(cell, EvaluateCell):
            continue
        record = evidence.records.get(cell_id)
        names = (
            {m.name for m in record.result.metrics} if record and isinstance(record.result, EvaluateResult) else set()
        )
        for name in (cell.task.title, cell.task.group):
            if name is not None:
                found.setdefault(name, set()).update(names)
    return found


def _students(loaded: LoadedPolicy, known: Known) -> Iterator[Fault]:
    for pattern in loaded.policy.students:
        if any(fnmatchcase(name, pattern) for name in known.students):
            continue
        path: KeyPath = ("students", pattern)
        if pattern in known.of_role("control"):
            yield _fault(path, f"{pattern!r} is a control, which no gate judges; name its student")
        elif pattern in known.of_role("teacher"):
            yield _fault(path, f"{pattern!r} is a teacher; a policy is about students")
        else:
            yield _fault(path, _unknown("student", pattern, known.students))


def _tasks(path: KeyPath, rules: Rules, known: Known) -> Iterator[Fault]:
    for name, task in rules.tasks.items():
        at: KeyPath = (*path, "tasks", name)
        if name not in known.metrics:
            yield _fault(at, _unknown("task", name, known.metrics))
            continue
        there = known.metrics[name]
        for metric in task.metrics:
            if there and metric not in there:
                yield _fault((*at, "metrics", metric), _unknown(f"metric of {harmless(name)}", metric, there))


def _measured(path: KeyPath, rules: Rules, known: Known) -> Iterator[Fault]:
    for number, rule in enumerate(rules.measured):
        at: KeyPath = (*path, "measured", number)
        yield from _of_rule(at, rule, known.series)


def _of_rule(at: KeyPath, rule: MeasuredRule, series: Sequence[Series]) -> Iterator[Fault]:
    """A known metric that was not measured is missing, which is for the verdict to say; an unknown one is a mistake."""
    meters = {*plugins.names("meters"), *(each.meter for each in series)}
    if rule.meter is not None and rule.meter not in meters:
        yield _fault((*at, "meter"), _unknown("meter", rule.meter, meters), on_key=False)
        return
    mine = [each for each in series if rule.meter in {None, each.meter}]
    metrics = {each.metric for each in mine}
    elsewhere = sorted({each.meter for each in series if each.metric == rule.metric})
    if mine and rule.metric not in metrics and elsewhere:
        said = f"meter {harmless(str(rule.meter))!r} does not measure {rule.metric!r}; {' and '.join(elsewhere)} does"
        yield _fault((*at, "metric"), said, on_key=False)
        return
    if rule.metric not in metrics | set(words.METRICS) and (mine or not _of_another_package(rule.meter)):
        yield _fault((*at, "metric"), _unknown("metric", rule.metric, metrics | set(words.METRICS)), on_key=False)
        return
    workloads = {each.workload for each in mine if each.metric == rule.metric}
    if workloads and rule.workload is not None and rule.workload not in workloads:
        noun = f"workload of {rule.metric}"
        yield _fault((*at, "workload"), _unknown(noun, rule.workload, workloads), on_key=False)


def _of_another_package(meter: str | None) -> bool:
    """Say whether only another package knows what a meter measures."""
    return meter is not None and plugins.distribution("meters", meter)[0] != "distbench"


def _unknown(noun: str, name: str, known: Iterable[str]) -> str:
    """Return the message for a name that the run does not have: the nearest ones, or else some that there are."""
    names = sorted(known)
    near = nearest(name[:80], names)
    if near:
        return f"unknown {noun} {harmless(name)!r}; did you mean {' or '.join(repr(harmless(each)) for each in near)}?"
    some = ", ".join(harmless(each) for each in names[:5]) + (", …" if len(names) > 5 else "")
    return f"unknown {noun} {harmless(name)!r}; " + (f"this run has: {some}" if names else "this run has none")


def _fault(path: KeyPath, message: str, *, on_key: bool = True) -> Fault:
    return Fault(path, lambda: message, on_key=on_key, error=UsageError)
