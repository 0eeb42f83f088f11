"""All checks that a policy asks of a student; here those about it as a whole: speed, memory, sizes, the gap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from distbench.compare.asked import OF_STUDENTS, Asked, Limit
from distbench.compare.estimates import decidable, missing
from distbench.compare.judging import at_least
from distbench.compare.measurements import headline_memory
from distbench.compare.policies import task_floors
from distbench.compare.rules import Side, task_rules, unseen
from distbench.compare.verdicts import gate_checks, threshold_check
from distbench.schema.policy import MeasuredRule
from distbench.schema.record import Footprint
from distbench.schema.result import Estimate, GateCheck, Measurement, SuiteScore

MEASURED = "measured"
Again = Callable[[float], Sequence[Measurement]]
Key = tuple[str, str, str]


@dataclass(frozen=True)
class Student:
    """What is known of a student beside its tasks. `again` compares its measurements at another error level."""

    suite: SuiteScore
    measurements: Sequence[Measurement]
    again: Again
    compression: dict[str, float | None]
    footprint: Footprint
    gap: Estimate | None
    devices: Sequence[str] = ()  # that the suite names to measure on


def policy_gate(asked: Asked, side: Side, student: Student) -> list[GateCheck]:
    """Return every check that a policy asks of a student, in the order in which a suite's gate has them."""
    policies = [*task_floors(side.compared, side.absent, asked.gate), *task_rules(asked, side)]
    small = student.compression["bytes_on_disk"]
    checks = gate_checks(
        student.suite, list(student.measurements), small, asked.gate, policies, devices=student.devices
    )
    limits = {**asked.limits, **({} if asked.retained is None else {"retained": asked.retained})}
    weighed = [_weighed(check, limits.get(check.rule)) for check in checks]
    kept = [check for check in weighed if check.rule != "retained" or asked.retained is not None]
    return [*kept, *_of_student(asked, student), *_measured(asked, student, side.alpha)]


def _weighed(check: GateCheck, limit: Limit | None) -> GateCheck:
    """Take the weight of a rule about the student; those about tasks have theirs."""
    if limit is None or check.rule not in {"retained", *OF_STUDENTS}:
        return check
    return check.model_copy(update={"required": check.required and limit.required})


def _of_student(asked: Asked, student: Student) -> list[GateCheck]:
    """Return the checks of the rules that a suite's own gate does not know."""
    checks = []
    for rule in ("memory", "parameters", "max_bytes", "gap_recovered"):
        limit = asked.limits.get(rule)
        if limit is not None:
            check = _one(rule, limit, student)
            checks.append(check.model_copy(update={"required": limit.required}))
    return checks


def _one(rule: str, limit: Limit, student: Student) -> GateCheck:
    if rule == "memory":
        used = headline_memory(student.measurements)
        return threshold_check(rule, limit.threshold, used.ratio if used else missing("memory was not measured"), used)
    if rule == "gap_recovered":
        none = missing("this student has no control without the teacher, or no task that both finished")
        return _gap(rule, limit, student.gap or none)
    if rule == "parameters":
        found = exact(student.compression["params_unique"], "the number of parameters is not known")
        return threshold_check(rule, limit.threshold, found)
    return _size(rule, limit, student.footprint)


def _gap(rule: str, limit: Limit, found: Estimate) -> GateCheck:
    """Decide on the gap recovered; where control and teacher do not differ there is nothing to recover."""
    found = decidable(found)
    verdict, reason = at_least(found, limit.threshold)
    undecided = found.status == "no_gap" and verdict == "NO_SIGNAL"  # the teacher does show a signal
    return GateCheck(
        rule=rule, threshold=limit.threshold, observed=found, verdict="INCONCLUSIVE" if undecided else verdict,
        reason=reason,
    )  # fmt: skip


def _size(rule: str, limit: Limit, footprint: Footprint) -> GateCheck:
    size = footprint.bytes_on_disk
    if size is None:
        return unseen(rule, limit, footprint.note or "the size on disk is not known")
    passes = size <= limit.threshold
    return GateCheck(
        rule=rule, threshold=limit.threshold, direction="at_most", observed=exact(size, ""),
        verdict="PASS" if passes else "FAIL", reason=f"{size:,} bytes {'≤' if passes else '>'} {limit.threshold:,.0f}",
    )  # fmt: skip


def exact(value: float | None, why: str) -> Estimate:
    """Return a number that is counted, not estimated; or why there is none."""
    return missing(why) if value is None else Estimate(value=value, lo=value, hi=value, n=1, method="exact")


# -- single measurements ----------------------------------------------------------------------------------------------


def _measured(asked: Asked, student: Student, alpha: float) -> list[GateCheck]:
    return [check for rule in asked.measured for check in _of_rule(rule, student, alpha)]


def _of_rule(rule: MeasuredRule, student: Student, alpha: float) -> list[GateCheck]:
    """Return a check for each measurement that a rule means; FAIL only where it stands after Holm over them."""
    found = [each for each in student.measurements if matches(rule, each)]
    limit = Limit(rule.at_least, rule.required)
    if not found:
        check = unseen(MEASURED, limit, "was not measured", metric=rule.metric)
        return [check.model_copy(update={"workload": rule.workload})]
    checks = [threshold_check(MEASURED, rule.at_least, each.ratio, each) for each in found]
    failing = {_key(each) for each, check in zip(found, checks, strict=True) if check.verdict == "FAIL"}
    if len(found) > 1 and failing:
        sure = _sure(rule, failing, len(found), student.again, alpha)
        checks = [
            check if check.verdict != "FAIL" or _key(each) in sure else _doubtful(check, len(found))
            for each, check in zip(found, checks, strict=True)
        ]
    return [check.model_copy(update={"required": rule.required}) for check in checks]


def _sure(rule: MeasuredRule, failing: set[Key], total: int, again: Again, alpha: float) -> set[Key]:
    """Return which measurements stay below after Holm: those whose upper limit does at α shared by all that are left.

    Holm (1979) in terms of intervals: reject at α over all, then at α over those that are left, until none falls.
    """
    sure: set[Key] = set()
    while len(sure) < len(failing):
        at = again(alpha / (total - len(sure)))
        high = {_key(each): each.ratio.hi for each in at if matches(rule, each)}
        limits = ((key, high.get(key)) for key in failing - sure)
        new = {key for key, limit in limits if limit is not None and limit < rule.at_least}
        if not new:
            break
        sure |= new
    return sure


def _doubtful(check: GateCheck, total: int) -> GateCheck:
    reason = f"{check.reason}, but not after Holm over {total} measurements"
    return check.model_copy(update={"verdict": "INCONCLUSIVE", "reason": reason})


def matches(rule: MeasuredRule, measurement: Measurement) -> bool:
    """Say whether a rule means a measurement; what it leaves out matches everything."""
    return (
        rule.metric == measurement.metric
        and rule.meter in {None, measurement.meter}
        and rule.workload in {None, measurement.workload}
    )


def _key(measurement: Measurement) -> Key:
    return measurement.meter, measurement.metric, measurement.workload
