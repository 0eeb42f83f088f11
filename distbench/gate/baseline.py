"""Not worse than the last release: rules about the change since an earlier run, with the interval of that change.

Where both run directories hold the same samples of the same tasks, the change is paired sample by sample; else it is
that of two unrelated measurements, and the decision says so. A baseline of another teacher or of other tasks is a
mistake of whoever named it, and refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from distbench import stats
from distbench.compare.asked import Limit, asked_of_student, limit_of
from distbench.compare.diff import diff
from distbench.compare.diff_retained import as_statistic
from distbench.compare.estimates import decidable, missing
from distbench.compare.judging import at_least
from distbench.compare.measurements import headline_energy, headline_memory, headline_speedup
from distbench.compare.source import Source, opened
from distbench.compare.student_rules import exact
from distbench.compare.verdicts import threshold_check
from distbench.errors import UsageError, did_you_mean
from distbench.gate.baseline_fit import refuse_unlike
from distbench.gate.policy_file import LoadedPolicy
from distbench.schema.decision import BaselineFacts
from distbench.schema.diff import Diff, ModelChange
from distbench.schema.policy import BaselineRules, Policy
from distbench.schema.result import Estimate, GateCheck, Measurement, Result, StudentResult
from distbench.schema.suite import GateSpec
from distbench.stats.change import p_of_interval

DEFAULT = BaselineRules(retained=0.02)  # two points: what a change between releases may cost where nothing else is said
NOT_GIVEN = "no baseline was given; name one with --baseline"
_HEADLINES: dict[str, Callable[[list[Measurement]], Measurement | None]] = {
    "speedup": headline_speedup,
    "memory": headline_memory,
    "energy": headline_energy,
}
_BASIS = {
    "paired": "paired sample by sample",
    "identical": "the answers are the same in both runs",
    "independent": "as two unrelated measurements, for the samples of both runs are not at hand or not the same",
}
_SHORT = {"paired": "paired by sample", "identical": "same answers", "independent": "not paired"}


def named_by(loaded: LoadedPolicy) -> Path | None:
    """Return the earlier run that a policy itself names, relative to the policy's folder."""
    rules = loaded.policy.baseline
    return loaded.path.parent / rules.run if rules is not None and rules.run is not None else None


def baseline_checks(
    run: Path, result: Result, path: Path | None, policy: Policy | None
) -> tuple[dict[str, list[GateCheck]], BaselineFacts | None]:
    """Return the checks of each student against an earlier run, and what that run is; None: there is none.

    Without rules for it, a given baseline asks the suite's retention to be at most two points lower. Raises UsageError
    for a baseline of another teacher, of other tasks or data, or without the student that a rule names.
    """
    students = [student for student in result.students if student.role == "student"]
    wanted = {student.name: rules for student in students if (rules := _rules(policy, student)) is not None}
    if path is None:
        return {name: _all_missing(rules, NOT_GIVEN) for name, rules in wanted.items()}, None
    if not wanted:
        wanted = {student.name: DEFAULT for student in students}
    base = opened(path)
    match = _match(wanted, base, result)
    pairs = {name: match.get(name, name) for name in wanted}
    refuse_unlike(base.result, result, pairs, path, retention=any(_of_tasks(rules) for rules in wanted.values()))
    changes = diff(base, _source(run, result), match={then: now for now, then in match.items()})
    by_name = {each.name_b: each for each in changes.students}
    checks = {name: _checks(rules, by_name.get(name), result, name) for name, rules in wanted.items()}
    return checks, _facts(path, base.result, changes, checks)


def _rules(policy: Policy | None, student: StudentResult) -> BaselineRules | None:
    if policy is None:
        return None
    rules = asked_of_student(policy, GateSpec(), student.name).baseline
    return rules if rules is not None and any(limit for _, limit in _limits(rules)) else None


def _limits(rules: BaselineRules) -> list[tuple[str, Limit]]:
    names = ("retained", "tasks", *_HEADLINES, "compression")
    return [(name, limit) for name in names if (limit := limit_of(getattr(rules, name))) is not None]


def _of_tasks(rules: BaselineRules) -> bool:
    return rules.retained is not None or rules.tasks is not None


def _match(wanted: dict[str, BaselineRules], base: Source, result: Result) -> dict[str, str]:
    """Return {student now: student then} where a rule names another one."""
    known = [each.name for each in base.result.students if each.role == "student"]
    there = {each.name for each in result.students}
    found = {name: rules.student for name, rules in wanted.items() if rules.student is not None and name in there}
    for name in found.values():
        if name not in known:
            raise UsageError(f"the baseline {base.path} has no student {name!r}{did_you_mean(name, known)}")
    twice = [name for name in found.values() if list(found.values()).count(name) > 1]
    if twice:
        raise UsageError(f"the baseline's student {twice[0]!r} is compared with several students; say which one")
    return found


def _source(run: Path, result: Result) -> Source:
    return replace(opened(run), result=result)


def _facts(path: Path, base: Result, changes: Diff, checks: dict[str, list[GateCheck]]) -> BaselineFacts:
    notes = [
        note.replace("Of A", "Of the baseline").replace("A stopped", "The baseline stopped") for note in changes.notes
    ]
    by_basis: dict[str, list[str]] = {}
    for each in changes.students:
        if each.name_b in checks and each.basis in _BASIS:
            by_basis.setdefault(each.basis, []).append(each.label_b)
    notes = [
        f"Compared with the baseline {_BASIS[basis]}: {'; '.join(who)}." for basis, who in by_basis.items()
    ] + notes
    return BaselineFacts(
        source=str(path), run=base.run, created_at=base.created_at, distbench=base.distbench, notes=notes
    )


# -- checks -----------------------------------------------------------------------------------------------------------


def _all_missing(rules: BaselineRules, why: str) -> list[GateCheck]:
    return [_unseen(rule, limit, why) for rule, limit in _limits(rules)]


def _checks(rules: BaselineRules, change: ModelChange | None, result: Result, name: str) -> list[GateCheck]:
    if change is None:
        return _all_missing(rules, "the baseline has no such student; name one: baseline: {student: …}")
    student = next(each for each in result.students if each.name == name)
    checks: list[GateCheck] = []
    for rule, limit in _limits(rules):
        if rule == "retained":
            found = change.retained_change or missing(change.reason)
            checks.append(_lower(rule, limit, found, change.basis))
        elif rule == "tasks":
            checks += _tasks(limit, change, result.alpha)
        elif rule == "compression":
            checks.append(_compression(limit, change))
        else:
            checks.append(_measured(rule, limit, change, student))
    return checks


def _lower(rule: str, limit: Limit, found: Estimate, basis: str, task: str | None = None) -> GateCheck:
    """Decide "at most so much lower": the lower limit of the change must not be below minus the threshold."""
    threshold = -limit.threshold
    found = decidable(found)
    verdict, reason = at_least(found, threshold)
    how = f"; {_SHORT[basis]}" if basis in _SHORT else ""
    return GateCheck(
        rule=_name(rule), task=task, threshold=threshold, required=limit.required, observed=found,
        verdict=verdict, reason=f"{reason}{how}",
    )  # fmt: skip


def _tasks(limit: Limit, change: ModelChange, alpha: float) -> list[GateCheck]:
    """Return a check a task that retains something. FAIL only where it stands after Holm over them."""
    kept = [task for task in change.tasks if task.retained_b is not None and task.retained_b.value is not None]
    if not kept:
        return [_unseen("tasks", limit, "no task retains anything in both runs")]
    checks = [_lower("tasks", limit, each.retained_change, each.basis, each.task) for each in kept]
    adjusted = stats.adjust_p_values([_p_below(each.retained_change, -limit.threshold, alpha) for each in kept])
    return [
        _doubtful(check, len(kept))
        if check.verdict == "FAIL" and len(kept) > 1 and (p is None or p > alpha / 2)
        else check
        for check, p in zip(checks, adjusted, strict=True)
    ]


def _p_below(found: Estimate, threshold: float, alpha: float) -> float | None:
    """Return the one-sided p-value of "the change is at least the threshold", which the interval stands for."""
    moved = [None if each is None else each - threshold for each in (found.value, found.lo, found.hi)]
    p = p_of_interval(replace(as_statistic(found), value=moved[0], lo=moved[1], hi=moved[2]), alpha)
    return None if p is None or moved[0] is None else p / 2 if moved[0] < 0 else 1 - p / 2


def _doubtful(check: GateCheck, total: int) -> GateCheck:
    reason = f"{check.reason}, but not after Holm over {total} tasks"
    return check.model_copy(update={"verdict": "INCONCLUSIVE", "reason": reason})


def _compression(limit: Limit, change: ModelChange) -> GateCheck:
    then, now = change.compression_a, change.compression_b
    found = exact(now / then if now and then else None, "the size on disk is not known in both runs")
    check = threshold_check(_name("compression"), limit.threshold, found)
    return check.model_copy(update={"required": limit.required})


def _measured(rule: str, limit: Limit, change: ModelChange, student: StudentResult) -> GateCheck:
    """Compare two ratios to the teacher; those of two machines decide nothing."""
    headline = _HEADLINES[rule](student.measurements)
    if headline is None:
        return _unseen(rule, limit, "it was not measured")
    key = (headline.meter, headline.metric, headline.workload)
    found = next((each for each in change.measurements if (each.meter, each.metric, each.workload) == key), None)
    if found is None:
        return _unseen(rule, limit, "the baseline did not measure it")
    check = threshold_check(_name(rule), limit.threshold, found.relative, headline)
    check = check.model_copy(update={"required": limit.required})
    if not change.surroundings:
        return check
    return check.model_copy(update={"verdict": "INCONCLUSIVE", "reason": f"{change.surroundings} than the baseline's"})


def _unseen(rule: str, limit: Limit, why: str) -> GateCheck:
    threshold = -limit.threshold if rule in {"retained", "tasks"} else limit.threshold
    return GateCheck(
        rule=_name(rule), threshold=threshold, required=limit.required, observed=missing(why), verdict="INCONCLUSIVE",
        reason=why,
    )  # fmt: skip


def _name(rule: str) -> str:
    return "baseline_task" if rule == "tasks" else f"baseline_{rule}"
