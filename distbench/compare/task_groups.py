"""Groups of tasks that were named as one, such as blimp or mmlu: each with a retention of its own."""

from __future__ import annotations

from collections.abc import Sequence

from distbench import stats
from distbench.compare.estimates import published
from distbench.compare.policies import floor_at
from distbench.compare.tasks import Compared
from distbench.schema.result import SuiteScore
from distbench.schema.suite import GateSpec, TaskGate


def task_groups(compared: Sequence[Compared], gate: GateSpec) -> dict[str, SuiteScore]:
    """Return the retention of every group over its tasks, judged at the group's floor, or else the tasks'.

    The intervals share alpha among the groups (Bonferroni), so that one of many does not fail by chance. A group with a
    comparison that is not valid is INVALID.
    """
    members: dict[str, list[Compared]] = {}
    for each in compared:
        group = each.files[0].cell.task.group
        if group is not None and each.claim is not None:
            members.setdefault(group, []).append(each)
    return {
        name: _score(mine, floor_at(gate, gate.tasks.get(name, TaskGate())), gate.alpha / len(members))
        for name, mine in members.items()
    }


def _score(compared: Sequence[Compared], floor: float, alpha: float) -> SuiteScore:
    broken = [c.result.task for c in compared if c.part is None]
    if broken:
        missing = stats.Estimate(None, None, None, 0, "none", stats.Status.INVALID, f"not valid: {', '.join(broken)}")
        return SuiteScore(retained=published(missing), verdict="INVALID", reason=missing.reason)
    whole = stats.retained_suite([c.part for c in compared if c.part is not None], alpha=alpha)
    decided = stats.decide(whole.estimate, floor)
    return SuiteScore(
        retained=published(whole.estimate),
        mean_of_ratios=whole.mean_of_ratios,
        worst_task=whole.worst_task,
        verdict=decided.verdict.value,
        reason=decided.reason,
        left_out=list(whole.left_out),
    )


def with_groups(suite: SuiteScore, groups: dict[str, SuiteScore], gate: GateSpec) -> SuiteScore:
    """Return the suite's score with the verdict FAIL where one of its groups fails that is required."""
    required = [name for name in groups if gate.tasks.get(name, TaskGate()).required]
    failed = [name for name in required if groups[name].verdict == "FAIL"]
    if not failed or suite.verdict in {"INVALID", "FAIL"}:
        return suite
    why = "; ".join(f"group {name}: {groups[name].reason}" for name in failed)
    return suite.model_copy(update={"verdict": "FAIL", "reason": why})
