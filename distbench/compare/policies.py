"""The rules of the gate beside retention, speed and size: floors of single tasks, floors of groups, ceilings.

Each becomes checks that say what was asked, what was seen and how it was decided. PASS needs every task to pass, which
is no claim too many; FAIL is a claim about one of several tasks, so it needs its p-value after Holm over those that the
rule looks at.
"""

from __future__ import annotations

from collections.abc import Sequence

from distbench import stats
from distbench.compare.divergence import Statement
from distbench.compare.estimates import missing, published
from distbench.compare.groups import judge
from distbench.compare.severity import worst
from distbench.compare.tasks import Compared, Watched
from distbench.schema.result import GateCheck, Verdict
from distbench.schema.suite import GateSpec, TaskGate, TaskSpec

CEILINGS = {
    "max_delta_bpb": "no task reports bits per byte",
    "max_negative_flips": "no task is scored right or wrong",
    "max_bias_transfer": "no task reports a bias rate",
    "max_kl": "no task reports the divergence from the teacher",
}
KL = "kl"
_NAMED = 3


def policy_checks(
    compared: Sequence[Compared], divergence: Sequence[Statement], absent: Sequence[str], gate: GateSpec
) -> list[GateCheck]:
    """Return a check for every rule that the suite sets, task by task where it looks at tasks."""
    checks = task_floors(compared, absent, gate)
    if gate.worst_group is not None:
        claims = [claim for each in compared for claim in each.groups]
        checks.append(worst_group(claims, gate.worst_group, gate.alpha))
    watched = [each for task in compared for each in task.watched]
    watched += [Watched("max_kl", each.result.task, each.estimate) for each in divergence if each.result.metric == KL]
    for rule, nothing in CEILINGS.items():
        ceiling: float | None = getattr(gate, rule)
        if ceiling is not None:
            checks += _ceilings(rule, ceiling, [each for each in watched if each.rule == rule], nothing, gate.alpha)
    return checks


def task_floors(compared: Sequence[Compared], absent: Sequence[str], gate: GateSpec) -> list[GateCheck]:
    """Return a check for each task that the gate names; the name of a group stands for each of its tasks."""
    named = {name: [each for each in compared if name_of(gate, each.files[0].cell.task) == name] for name in gate.tasks}
    known = [each.own for tasks in named.values() for each in tasks if each.own is not None]
    decided = dict(zip((claim.name for claim in known), judge(known, gate.alpha, "tasks"), strict=True))
    checks = []
    for name, tasks in named.items():
        asked, floor = gate.tasks[name], floor_at(gate, gate.tasks[name])
        if not tasks:
            why = "did not finish" if name in absent else "was not evaluated"
            rows = [(name, missing(why), _undecided(why))]
        else:
            rows = [(each.result.task, each.result.retained, _of_task(each, decided)) for each in tasks]
        for task, observed, (verdict, reason) in rows:
            checks.append(
                GateCheck(
                    rule="task_floor",
                    task=task,
                    threshold=floor,
                    required=asked.required,
                    observed=observed,
                    verdict=verdict,
                    reason=reason,
                )
            )
    return checks


def _of_task(task: Compared, decided: dict[str, tuple[Verdict, str]]) -> tuple[Verdict, str]:
    return decided.get(task.result.task, _undecided(task.result.reason or "it has no retention"))


def _undecided(reason: str) -> tuple[Verdict, str]:
    return "INCONCLUSIVE", reason


def name_of(gate: GateSpec, task: TaskSpec) -> str | None:
    """Return the name under which a gate speaks of a task: its own, else that of the group it came from."""
    return next((name for name in (task.title, task.group) if name in gate.tasks), None)


def asked_of(gate: GateSpec, task: TaskSpec) -> TaskGate:
    """Return what the gate asks of a task by name."""
    name = name_of(gate, task)
    return TaskGate() if name is None else gate.tasks[name]


def floor_of(gate: GateSpec, task: TaskSpec) -> float:
    """Return the floor that a task must reach."""
    return floor_at(gate, asked_of(gate, task))


def floor_at(gate: GateSpec, asked: TaskGate) -> float:
    """Return the floor of a task by name, or that of every task where it has none of its own."""
    return gate.task_floor if asked.floor is None else asked.floor


def worst_group(claims: Sequence[stats.Claim], floor: float, alpha: float) -> GateCheck:
    """Every judged group must reach the floor; one that is surely below it, after Holm over all of them, fails."""
    if not claims:
        why = f"no group of {stats.MIN_GROUP} samples or more has a retained share"
        return GateCheck(rule="worst_group", threshold=floor, observed=missing(why), verdict="INCONCLUSIVE", reason=why)
    decided = judge(claims, alpha)
    verdict = worst([each for each, _ in decided])
    names = [claim.name for claim, (each, _) in zip(claims, decided, strict=True) if each == verdict]
    shown = ", ".join(names[:_NAMED]) + (f" and {len(names) - _NAMED} more" if len(names) > _NAMED else "")
    why = next(reason for each, reason in decided if each == verdict)
    lowest = min(claims, key=lambda claim: claim.estimate.value or 0.0)
    return GateCheck(
        rule="worst_group",
        threshold=floor,
        observed=published(lowest.estimate),
        verdict=verdict,
        reason=f"all {len(claims)} groups pass" if verdict == "PASS" else f"{shown}: {why}",
    )


def _ceilings(rule: str, ceiling: float, seen: Sequence[Watched], nothing: str, alpha: float) -> list[GateCheck]:
    if not seen:
        none = missing(nothing)
        return [
            GateCheck(
                rule=rule, threshold=ceiling, direction="at_most", observed=none, verdict="INCONCLUSIVE", reason=nothing
            )
        ]
    adjusted = stats.adjust_p_values([stats.p_above(each.estimate, ceiling) for each in seen])
    checks = []
    for each, p in zip(seen, adjusted, strict=True):
        verdict, reason = at_most(each.estimate, ceiling)
        if verdict == "FAIL" and len(seen) > 1 and (p is None or p > alpha / 2):
            verdict, reason = "INCONCLUSIVE", f"{reason}, but not after Holm over {len(seen)} tasks"
        checks.append(
            GateCheck(
                rule=rule,
                task=each.task,
                threshold=ceiling,
                direction="at_most",
                observed=published(each.estimate),
                verdict=verdict,
                reason=reason,
            )
        )
    return checks


def at_most(estimate: stats.Estimate, ceiling: float) -> tuple[Verdict, str]:
    """Decide "at most": PASS where the upper limit does not exceed the ceiling, FAIL where the lower limit does."""
    limits = estimate.interval
    if estimate.status is stats.Status.INVALID:
        return "INVALID", estimate.reason or "not a valid comparison"
    if limits is None or estimate.value is None:
        return _undecided(estimate.reason or "there is no interval")
    if (floor := stats.below_floor(estimate)) is not None:
        return _undecided(floor)
    if limits.hi <= ceiling:
        return "PASS", f"upper limit {limits.hi:.4f} ≤ {ceiling:g}"
    if limits.lo > ceiling:
        return "FAIL", f"lower limit {limits.lo:.4f} > {ceiling:g}"
    return _undecided(f"the interval {limits.lo:.4f} to {limits.hi:.4f} holds {ceiling:g}")
