"""`report A B C`: several results as one, merged on content, with everything that differs kept apart and said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from distbench.compare.diff_measures import machine as machine_words
from distbench.compare.merge_names import numbered, renamed_student, renamed_study, run_labels
from distbench.compare.merge_tasks import told_apart
from distbench.compare.merge_teachers import Teachers, joined_teachers
from distbench.compare.tradeoff import trade_offs
from distbench.compare.verdicts import recommended, run_verdict
from distbench.errors import UsageError
from distbench.schema.merged import MergedRun
from distbench.schema.result import Result, StudentResult, Surroundings, TradeOff
from distbench.schema.studies import Study

UNKNOWN = "not known"


def merge(results: Sequence[Result]) -> Result:
    """Return several results as one; a single one as it is. Raises UsageError for none, and for a run given twice."""
    if not results:
        raise UsageError("no run to report on")
    if len(results) == 1:
        return results[0]
    labels = run_labels(results)
    for place, result in enumerate(results):
        if result in results[:place]:
            raise UsageError(f"the run {result.run} was given twice")
    machines = [machine_of(result) for result in results]
    tasks = told_apart(results, labels)
    teachers = joined_teachers(results, labels, tasks.names, machines)
    students, models = _students(results, labels, machines, teachers, tasks.names)
    everyone = [each for own in students for each in own]
    conflicts = [*tasks.conflicts, *teachers.conflicts, *_gates(results, labels), *_machines(labels, machines)]
    conflicts += _versions(results)
    verdict, reason = run_verdict(everyone)
    best = recommended(everyone) if _one_gate(results) and len({t.identity for t in teachers.teachers}) == 1 else None
    return Result(
        run=" + ".join(labels),
        suite=" + ".join(dict.fromkeys(result.suite for result in results)),
        description=_common([result.description for result in results]),
        created_at=max(result.created_at for result in results),
        distbench=", ".join(dict.fromkeys(result.distbench for result in results)),
        alpha=results[0].alpha,
        thresholds=_thresholds(results),
        suite_rule=_common([result.suite_rule for result in results]) or "default",
        task_floors=_shared([result.task_floors for result in results]),
        verdict=verdict,
        verdict_reason=reason,
        recommended=best,
        teachers=teachers.teachers,
        students=everyone,
        trade_offs=_trade_offs(everyone, teachers, results[0].alpha),
        studies=_studies(results, labels, models, tasks.names),
        cells=[
            cell.model_copy(update={"title": f"{cell.title} ({label})"})
            for result, label in zip(results, labels, strict=True)
            for cell in result.cells
        ],
        host=_common([result.host for result in results]),
        packages=_shared([result.packages for result in results]),
        settings=_shared([result.settings for result in results]),
        warnings=[
            *conflicts,
            *(f"{label}: {text}" for r, label in zip(results, labels, strict=True) for text in r.warnings),
        ],
        runs=[
            _run(result, label, machine, own, models[place], tasks.names[place])
            for place, (result, label, machine, own) in enumerate(zip(results, labels, machines, students, strict=True))
        ],
        conflicts=conflicts,
    )


def machine_of(result: Result) -> str:
    """Return where a run was measured, in words; several machines where its students were measured on several."""
    measured = [each.measured_on for each in result.students if each.measured_on is not None]
    found = dict.fromkeys(f"{machine_words(each)}, {each.device}" for each in measured if each.host is not None)
    if found:
        return " and ".join(found)
    if result.host is None:
        return UNKNOWN
    device = result.settings.get("device")
    where = machine_words(Surroundings(host=result.host, device="", threads=None))
    return f"{where}, {device}" if device else where


def _students(
    results: Sequence[Result],
    labels: Sequence[str],
    machines: Sequence[str],
    teachers: Teachers,
    tasks: Sequence[dict[str, str]],
) -> tuple[list[list[StudentResult]], list[dict[str, str]]]:
    """Return each run's students under names of their own, and for each run {its model: the name in the merged one}."""
    counts: dict[str, int] = {}
    shown: dict[str, int] = {}
    for result in results:
        for each in result.students:
            counts[each.name] = counts.get(each.name, 0) + 1
            shown[each.label] = shown.get(each.label, 0) + 1
    apart = len(set(machines)) > 1
    names, found = [], []
    for result, label, own in zip(results, labels, teachers.names, strict=True):
        mine = {each.name: each.name if counts[each.name] == 1 else f"{each.name}@{label}" for each in result.students}
        names.append(own | mine)
    flat = iter(
        numbered([own[each.name] for result, own in zip(results, names, strict=True) for each in result.students])
    )
    for place, result in enumerate(results):
        names[place] |= {each.name: next(flat) for each in result.students}
        where = f"{labels[place]}, on {machines[place]}" if apart else labels[place]
        level = "" if result.alpha == results[0].alpha else f", intervals at {100 * (1 - result.alpha):g} %"
        found.append(
            [
                renamed_student(
                    each,
                    names[place],
                    tasks[place],
                    label=f"{each.label} of {labels[place]}{level}" if shown[each.label] > 1 else each.label + level,
                    run=where,
                )
                for each in result.students
            ]
        )
    return found, names


def _one_gate(results: Sequence[Result]) -> bool:
    gates = [(each.alpha, each.thresholds, each.suite_rule, each.task_floors) for each in results]
    return all(gate == gates[0] for gate in gates)


def _gates(results: Sequence[Result], labels: Sequence[str]) -> list[str]:
    """Say which rules of the gate differ: a verdict holds under its own run's gate."""
    rules: dict[str, list[Any]] = {"alpha": [r.alpha for r in results], "suite rule": [r.suite_rule for r in results]}
    for rule in dict.fromkeys(name for result in results for name in result.thresholds):
        rules[rule.replace("_", " ")] = [result.thresholds.get(rule) for result in results]
    for task in dict.fromkeys(name for result in results for name in result.task_floors):
        rules[f"floor of {task}"] = [result.task_floors.get(task) for result in results]
    said = [
        f"{rule} " + ", ".join(f"{_limit(value)} in {label}" for label, value in zip(labels, values, strict=True))
        for rule, values in rules.items()
        if any(value != values[0] for value in values)
    ]
    if not said:
        return []
    return [f"The gate is not the same in all runs, and each verdict is under its own run's: {'; '.join(said)}."]


def _limit(value: Any) -> str:
    if value is None:
        return "none"
    return value.replace("_", " ") if isinstance(value, str) else f"{value:g}"


def _machines(labels: Sequence[str], machines: Sequence[str]) -> list[str]:
    if len(set(machines)) < 2:
        return []
    said = "; ".join(f"{label}: {machine}" for label, machine in zip(labels, machines, strict=True))
    text = f"The runs are of different machines ({said}). Each ratio was measured beside the teacher on one of them; "
    return [text + "times, memory and energy of two machines are never compared with each other."]


def _versions(results: Sequence[Result]) -> list[str]:
    names = dict.fromkeys(name for result in results for name in result.packages)
    differ = [name for name in names if len({result.packages.get(name) for result in results}) > 1]
    if not differ:
        return []
    return [f"The runs used other versions of {', '.join(differ[:4])}{' …' if len(differ) > 4 else ''}."]


def _thresholds(results: Sequence[Result]) -> dict[str, float | None]:
    """Return the thresholds that all runs share; one that differs has no line in a chart."""
    names = dict.fromkeys(name for result in results for name in result.thresholds)
    return {name: _common([result.thresholds.get(name) for result in results]) for name in names}


def _trade_offs(students: Sequence[StudentResult], teachers: Teachers, alpha: float) -> list[TradeOff]:
    """Return a front for each teacher and set of tasks: what is retained of other tasks is another quantity."""
    identity = {each.name: each.identity for each in teachers.teachers}
    planes: dict[tuple[Any, ...], list[StudentResult]] = {}
    for each in students:
        kept = tuple(sorted(task.task for task in each.tasks if task.gated))
        if each.of:
            planes.setdefault((identity.get(each.of[0]), kept), []).append(each)
    found = []
    for plane in planes.values():
        first = plane[0].of[0]
        found += trade_offs([first], [each.model_copy(update={"of": [first]}) for each in plane], alpha)
    return found


def _studies(
    results: Sequence[Result],
    labels: Sequence[str],
    models: Sequence[dict[str, str]],
    tasks: Sequence[dict[str, str]],
) -> list[Study]:
    every = [study.name for result in results for study in result.studies]
    return [
        renamed_study(
            study, models[place], tasks[place],
            study.name if every.count(study.name) == 1 else f"{study.name} of {labels[place]}",
        )
        for place, result in enumerate(results)
        for study in result.studies
    ]  # fmt: skip


def _run(
    result: Result,
    label: str,
    machine: str,
    students: Sequence[StudentResult],
    models: dict[str, str],
    tasks: dict[str, str],
) -> MergedRun:
    devices = dict.fromkeys(each.measured_on.device for each in students if each.measured_on is not None)
    return MergedRun(
        label=label,
        run=result.run,
        suite=result.suite,
        created_at=result.created_at,
        distbench=result.distbench,
        verdict=result.verdict,
        verdict_reason=result.verdict_reason,
        recommended=None if result.recommended is None else models.get(result.recommended),
        alpha=result.alpha,
        thresholds=result.thresholds,
        suite_rule=result.suite_rule,
        task_floors=result.task_floors,
        teachers=list(dict.fromkeys(models[each.name] for each in result.teachers)),
        students=[each.name for each in students],
        tasks=list(dict.fromkeys(task.task for each in students for task in each.tasks)),
        machine=machine,
        device=", ".join(devices) or result.settings.get("device"),
        packages=result.packages,
    )


def _common(values: Sequence[Any]) -> Any:
    """Return the value that all share, or None."""
    return values[0] if all(value == values[0] for value in values) else None


def _shared(mappings: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the entries that all share."""
    return {k: v for k, v in mappings[0].items() if all(each.get(k, ...) == v for each in mappings)}
