"""What a gate decides from is checked first: damage is refused, and suspicious evidence never passes."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from distbench.errors import RefusedError
from distbench.report.visible import one_line
from distbench.schema.decision import EvidenceFacts
from distbench.schema.estimate import Estimate
from distbench.schema.policy import Policy
from distbench.schema.result import GateCheck, Result
from distbench.schema.verification import RunVerification
from distbench.store.run_dir import RunDir
from distbench.verify.run import verify_run

RULE = "evidence"
_LONGEST = 300
_MOST_SAID = 3


def checked(path: Path) -> RunVerification:
    """Return what `verify --quick` finds in a run. Raises RefusedError where it is damaged."""
    found = verify_run(RunDir.existing(path), path, "quick")
    damage = found.found("damaged")
    if damage:
        check, first = damage[0]
        total = sum(each.findings_total for each in found.checks if each.verdict == "damaged")
        more = f" (and {total - 1} more findings)" if total > 1 else ""
        raise RefusedError(
            f"{path}: no verdict on a damaged run: {check.id}: {one_line(first.where, 120)}: "
            f"{one_line(first.what, _LONGEST)}{more}; `distbench verify {path}` says everything"
        )
    return found


def facts_of(found: RunVerification) -> EvidenceFacts:
    """Return what a decision says of the evidence behind it."""
    return EvidenceFacts(
        verdict=found.verdict,
        checks=sum(check.checked > 0 for check in found.checks),
        suspicious=[f"{one_line(each.where, 120)}: {one_line(each.what, _LONGEST)}"
                    for _, each in found.found("suspicious")],
    )  # fmt: skip


def evidence_checks(
    found: Sequence[RunVerification], result: Result, policy: Policy | None
) -> dict[str, list[GateCheck]]:
    """Return a rule for every student whose evidence is suspicious, in this run or in its baseline.

    The comparison is INVALID then: unlike what is merely undecided it is not let through by `on_inconclusive`, only by
    a policy that says `evidence: {required: false}`.
    """
    suspicious = [pair for each in found for pair in each.found("suspicious")]
    checks = {}
    for student in result.students:
        mine = [(check, each) for check, each in suspicious if each.student in {None, student.name}]
        if mine:
            said = "; ".join(f"{each.where}: {each.what}" for _, each in mine[:_MOST_SAID])
            more = f"; and {len(mine) - _MOST_SAID} more" if len(mine) > _MOST_SAID else ""
            count = float(len(mine))
            checks[student.name] = [
                GateCheck(
                    rule=RULE,
                    threshold=0.0,
                    direction="at_most",
                    required=required(policy, student.name),
                    observed=Estimate(value=count, lo=count, hi=count, n=1, method="exact"),
                    verdict="INVALID",
                    reason=f"{one_line(said + more, 600)} (`distbench verify` says more)",
                )
            ]
    return checks


def required(policy: Policy | None, student: str) -> bool:
    """Say whether suspicious evidence decides on a student: it does, unless the policy says otherwise."""
    if policy is None:
        return True
    found = policy.evidence.required
    for pattern, rules in policy.students.items():
        if "evidence" in rules.model_fields_set and fnmatchcase(student, pattern):
            found = rules.evidence.required
    return found
