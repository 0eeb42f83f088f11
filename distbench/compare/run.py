"""`compare`: from the files of a run to one result document. Needs no torch."""

from __future__ import annotations

import functools
from dataclasses import replace

from distbench.compare.asked import Asked, asked_by_suite, asked_of_all, asked_of_student
from distbench.compare.disagreements import disagreements
from distbench.compare.divergence import Statement, divergences
from distbench.compare.energy import per_correct_answer
from distbench.compare.evidence import Evidence
from distbench.compare.further import further_metrics
from distbench.compare.gap import suite_gap
from distbench.compare.measurements import compare_devices, measured_again
from distbench.compare.pairs import primary_metric
from distbench.compare.policies import floor_at, floor_of, policy_checks
from distbench.compare.rules import Side
from distbench.compare.seeds import seed_spread, seed_warnings
from distbench.compare.sequential import decide, restated, sequential_score
from distbench.compare.student_rules import Student, policy_gate
from distbench.compare.studies import studies
from distbench.compare.task_groups import task_groups, with_groups
from distbench.compare.tasks import Compared, compare_task
from distbench.compare.tradeoff import trade_offs
from distbench.compare.training_run import Beyond, Trained
from distbench.compare.verdicts import gate_checks, gated, recommended, run_verdict, student_verdict, suite_score
from distbench.compare.warnings import run_warnings, student_warnings
from distbench.errors import RunError
from distbench.schema.plan import PlannedModel
from distbench.schema.policy import Policy
from distbench.schema.record import Footprint
from distbench.schema.result import CellSummary, Estimate, Result, StudentResult, TeacherResult
from distbench.schema.studies import SeedSpread
from distbench.schema.suite import GateSpec
from distbench.store.files import seal_of
from distbench.store.run_dir import RunDir

NOT_THRESHOLDS = {"alpha", "sequential", "suite_rule", "tasks"}
KINDS = ("bytes_on_disk", "params_unique", "params_non_embedding")


def compare(run: RunDir, policy: Policy | None = None) -> Result:
    """Compare every student of a run with its teacher, and judge it by the suite's gate or by a policy.

    Raises RunError where no evaluation or measurement finished: there is nothing to report.
    """
    evidence = Evidence(run)
    if not any(record.result.kind != "make" for record in evidence.records.values()):
        raise RunError(f"{run.path}: no evaluation or measurement finished; there is nothing to report")
    manifest = evidence.manifest
    own = manifest.suite.gate or GateSpec()
    gate = asked_of_all(policy, own).gate if policy else own
    teachers = {model.name: model for model in evidence.models("teacher")}
    students = [
        _student(evidence, model, teachers[model.of[0]], _asked(model, own, policy))
        for model in manifest.models
        if model.role != "teacher" and model.seed_of is None
    ]
    verdict, reason = run_verdict(students)
    first = next(iter(evidence.records.values()))
    return Result(
        run=manifest.run,
        suite=manifest.suite.name,
        description=manifest.suite.description,
        created_at=manifest.created_at,
        distbench=manifest.distbench,
        alpha=gate.alpha,
        thresholds=gate.model_dump(exclude=NOT_THRESHOLDS),
        suite_rule=gate.suite_rule,
        task_floors={name: floor_at(gate, asked) for name, asked in gate.tasks.items()},
        verdict=verdict,
        verdict_reason=reason,
        recommended=recommended(students),
        teachers=[_teacher(evidence, model, gate) for model in teachers.values()],
        students=students,
        trade_offs=trade_offs(list(teachers), students, gate.alpha),
        studies=studies(evidence, students, gate.alpha),
        cells=cell_summaries(evidence),
        host=first.host,
        packages=first.packages,
        settings=manifest.settings.model_dump() | {"device_reason": manifest.device_reason},
        warnings=run_warnings(evidence, gate.alpha),
    )


def _teacher(evidence: Evidence, model: PlannedModel, gate: GateSpec) -> TeacherResult:
    scores: dict[str, float | None] = {}
    for task in evidence.manifest.task_order:
        evaluated = evidence.evaluated(model, task)
        scores[task] = primary_metric(evaluated).mean if evaluated else None
    return TeacherResult(
        name=model.name,
        label=model.label,
        source=model.origin,
        identity=model.ref.identity,
        footprint=evidence.footprint(model),
        scores=scores,
        training=evidence.training(model),
        again=[each for result in evidence.measured_beside(model) for each in measured_again(result, gate.alpha)],
        notes=model.notes,
        trusted=model.ref.trusted,
    )


def _asked(model: PlannedModel, gate: GateSpec, policy: Policy | None) -> Asked:
    return asked_of_student(policy, gate, model.name) if policy else asked_by_suite(gate)


def _student(evidence: Evidence, model: PlannedModel, teacher: PlannedModel, asked: Asked) -> StudentResult:
    gate = asked.gate
    control = next((m for m in evidence.manifest.models if m.name == model.control), None)
    compared, statements, absent = compared_tasks(evidence, model, teacher, control, gate)
    measured, devices = evidence.measured_on(model), evidence.devices()
    again = functools.partial(compare_devices, measured, devices, teacher.name, model.name)
    measurements = again(gate.alpha)
    measurements += per_correct_answer(measurements, compared, evidence.measured_work(model))
    footprint = evidence.footprint(model)
    compression = _compression(evidence.footprint(teacher), footprint)
    decision = decide(compared, gate) if gate.sequential else None
    suite = suite_score(compared, gate, absent)
    if decision is not None:
        suite = sequential_score(decision, compared, absent)
        compared = [restated(c, decision) for c in compared]
    groups = task_groups(compared, gate) if decision is None else {}
    suite = with_groups(suite, groups, gate)
    spread = _seeds(evidence, Trained(model, compared, absent, suite), teacher, gate)
    gap = _gap(spread, compared, gate.alpha) if control else None
    if asked.policy:
        others = further_metrics(evidence, asked, (teacher, model), compared)
        side = Side(compared, others, statements, absent, gate.alpha)
        checks = policy_gate(asked, side, Student(suite, measurements, again, compression, footprint, gap, devices))
    else:
        policies = policy_checks(compared, statements, absent, gate)
        checks = gate_checks(suite, measurements, compression["bytes_on_disk"], gate, policies, devices=devices)
    verdict, reason = student_verdict(checks)
    shown, total = disagreements(compared)
    result = StudentResult(
        name=model.name,
        label=model.label,
        role="control" if model.role == "control" else "student",
        of=model.of,
        control_of=model.control_of,
        control=model.control,
        kind=model.kind,
        study=model.study,
        required=model.required if asked.required is None else asked.required,
        made_by=model.made_by,
        identity=model.ref.identity,
        weights=made.weights_digest if (made := evidence.made(model)) else None,
        trusted=model.ref.trusted,
        measured_on=evidence.surroundings(model),
        compression=compression,
        footprint=footprint,
        initial=evidence.initial(model),
        training=evidence.training(model),
        agreement=evidence.agreement(model),
        tasks=[gated(c, checks) for c in compared],
        suite=suite,
        task_groups=groups,
        divergence=[each.result for each in statements],
        measurements=measurements,
        gap_recovered=gap,
        seeds=spread,
        gate=checks,
        verdict=verdict,
        verdict_reason=reason,
        disagreements=shown,
        disagreements_total=total,
    )
    found = student_warnings(evidence, model, teacher, result, [c.pair for c in compared])
    found += seed_warnings(spread, same_model=_same_model(evidence, model))
    return result.model_copy(update={"warnings": found})


def _gap(spread: SeedSpread | None, compared: list[Compared], alpha: float) -> Estimate | None:
    """Return the gap that was recovered: by the method where it was trained several times, else by the one model."""
    return spread.gap_recovered if spread and spread.gap_recovered else suite_gap(compared, alpha)


def _seeds(evidence: Evidence, first: Trained, teacher: PlannedModel, gate: GateSpec) -> SeedSpread | None:
    """Return the spread over a student's training runs; a control has none of its own."""
    if first.model.role != "student":
        return None
    runs = [first, *_further(evidence, first.model, teacher, gate)]
    if len(runs) > 1:
        runs = [_with_beyond(evidence, run, teacher, gate.alpha) for run in runs]
    return seed_spread(runs, gate.alpha)


def _with_beyond(evidence: Evidence, run: Trained, teacher: PlannedModel, alpha: float) -> Trained:
    control = next((each for each in evidence.manifest.models if each.name == run.model.control), None)
    return replace(
        run,
        beyond=_beyond(evidence, run.model, teacher, alpha),
        control_beyond=_beyond(evidence, control, teacher, alpha) if control else None,
    )


def _beyond(evidence: Evidence, model: PlannedModel, teacher: PlannedModel, alpha: float) -> Beyond:
    evaluated = [evidence.evaluated(model, task, teacher) for task in evidence.manifest.task_order]
    training = evidence.training(model)
    return Beyond(
        [each for one in evaluated if one is not None for each in divergences(one, alpha)],
        training.heldout_kl_after if training else None,
    )


def _further(evidence: Evidence, model: PlannedModel, teacher: PlannedModel, gate: GateSpec) -> list[Trained]:
    by_name = {each.name: each for each in evidence.manifest.models}
    found = []
    for run in (each for each in evidence.manifest.models if each.seed_of == model.name):
        compared, _, absent = compared_tasks(evidence, run, teacher, by_name.get(run.control or ""), gate)
        decision = decide(compared, gate) if gate.sequential else None
        suite = suite_score(compared, gate, absent)
        suite = suite if decision is None else sequential_score(decision, compared, absent)
        found.append(Trained(run, compared, absent, suite))
    return found


def _same_model(evidence: Evidence, model: PlannedModel) -> bool:
    """Say whether all training runs of a student gave the same weights."""
    runs = [evidence.made(each) for each in evidence.manifest.models if model.name in (each.name, each.seed_of)]
    return len(runs) > 1 and all(runs) and len({each.weights_digest for each in runs if each}) == 1


def compared_tasks(
    evidence: Evidence, model: PlannedModel, teacher: PlannedModel, control: PlannedModel | None, gate: GateSpec
) -> tuple[list[Compared], list[Statement], list[str]]:
    """Return (finished comparisons, statements about the student alone, planned tasks that did not finish on a side).

    A task that compares the student with its teacher itself (a divergence) has no teacher's evaluation to wait for.
    """
    compared: list[Compared] = []
    statements: list[Statement] = []
    absent: list[str] = []
    for task in evidence.manifest.task_order:
        left, right = evidence.evaluated(teacher, task), evidence.evaluated(model, task, teacher)
        if right is not None:
            statements += divergences(right, gate.alpha)
        if right is not None and all(facts.reference for facts in right.result.metrics):
            continue
        if left is None or right is None:
            absent.append(task)
            continue
        beside = evidence.evaluated(control, task) if control else None
        compared.append(
            compare_task(
                left,
                right,
                beside,
                floor=floor_of(gate, left.cell.task),
                alpha=gate.alpha,
                weight=left.cell.task.weight,
                group_floor=gate.worst_group,
            )
        )
    return compared, statements, absent


def _compression(teacher: Footprint, student: Footprint) -> dict[str, float | None]:
    """Return teacher ÷ student by kind of size; None where a side does not have that size."""
    ratios: dict[str, float | None] = {}
    for kind in KINDS:
        big, small = getattr(teacher, kind), getattr(student, kind)
        ratios[kind] = big / small if big and small else None
    return ratios


def cell_summaries(evidence: Evidence) -> list[CellSummary]:
    """Return every planned cell with what it took, or why it failed or was left out."""
    rows = []
    left_out = evidence.left_out.cells if evidence.left_out else {}
    for cell in evidence.manifest.cells:
        record = evidence.records.get(cell.id)
        failure = None if record else evidence.run.last_failure(cell.id)
        rows.append(
            CellSummary(
                id=cell.id,
                kind=cell.kind,
                title=cell.title,
                status="done" if record else "failed" if failure else "missing",
                seconds=record.seconds if record else None,
                peak_memory_bytes=record.peak_memory_bytes if record else None,
                error=failure or (None if record else left_out.get(cell.id)),
                seal=seal_of(evidence.run.cells / cell.id) if record else None,
            )
        )
    return rows
