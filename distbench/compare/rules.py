"""The rules that a policy adds to a suite's gate, task by task and measurement by measurement.

Each becomes checks that say what was asked, what was seen and how it was decided: PASS by the near end of the
interval, FAIL by the far one. FAIL is a claim about one of several tasks, so it needs to stand after Holm over those
that the rule looks at; a number that is missing is INCONCLUSIVE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from distbench import stats
from distbench.compare.asked import OF_TASKS, Asked, Limit, OfTask
from distbench.compare.divergence import Statement
from distbench.compare.estimates import judged as with_floor
from distbench.compare.estimates import missing
from distbench.compare.fidelity import fidelity
from distbench.compare.groups import grouped, judge
from distbench.compare.policies import KL, at_most, worst_group
from distbench.compare.ratios import ratio
from distbench.compare.tasks import Compared, score_difference
from distbench.schema.estimate import Verdict
from distbench.schema.result import GateCheck
from distbench.schema.suite import TaskSpec

NOTHING = {
    "max_drop": "no task has a score of both sides",
    "max_delta_bpb": "no task reports bits per byte",
    "max_negative_flips": "no task is scored right or wrong",
    "max_bias_transfer": "no task reports a bias rate",
    "max_kl": "no task reports the divergence from the teacher",
    "agreement": "no task states answers",
    "retained_knowledge": "no task is scored right or wrong",
    "token_agreement": "no task reports the agreement on tokens",
}
STATEMENTS = {"max_kl": KL, "token_agreement": "token_agreement"}
_WATCHED = {"max_negative_flips", "max_bias_transfer", "max_delta_bpb"}


@dataclass(frozen=True)
class Seen:
    """A number that a rule looks at, of one task (and metric), and what it must reach."""

    task: str
    metric: str
    estimate: stats.Estimate
    limit: Limit


@dataclass(frozen=True)
class Side:
    """What there is to look at: finished comparisons, the same under further metrics, statements, unfinished tasks."""

    compared: Sequence[Compared]
    others: Sequence[Compared]
    statements: Sequence[Statement]
    absent: Sequence[str]
    alpha: float


def task_rules(asked: Asked, side: Side) -> list[GateCheck]:
    """Return a check for each task that each rule looks at, and one for each rule that finds nothing."""
    checks = _floors_of_metrics(asked, side)
    for rule in OF_TASKS:
        checks += _groups(asked, side) if rule == "worst_group" else _of_tasks(rule, asked, side)
    return checks


def _of_tasks(rule: str, asked: Asked, side: Side) -> list[GateCheck]:
    seen = [*_of_statements(rule, asked, side), *_of_comparisons(rule, asked, side)]
    checks = judged(rule, seen, side.alpha)
    found = {each.task.split(" (")[0] for each in seen}
    named = {name: each for name, each in asked.tasks.items() if rule in each.limits}
    for name, each in named.items():
        if not found & _stands_for(name, side):
            checks.append(unseen(rule, _weighed(each.limits[rule], each), _why_unseen(rule, name, side), name))
    if rule in asked.limits:
        limit = asked.limits[rule]
        if not checks:
            checks.append(unseen(rule, limit, _unfinished(side.absent) or NOTHING[rule]))
        elif side.absent:  # nobody knows what they would have said
            checks += [unseen(rule, limit, "did not finish", each) for each in side.absent if each not in named]
    return checks


def _of_comparisons(rule: str, asked: Asked, side: Side) -> list[Seen]:
    found = []
    for each in side.compared:
        limit = asked.limit(rule, _spec(each))
        if limit is not None:
            found += [Seen(*numbers, limit) for numbers in _numbers(rule, each, side.alpha)]
    for each in side.others:
        limit = _of_metric(asked, each).get(rule)
        if limit is not None:
            rows = _numbers(rule, each, side.alpha)
            metric = each.result.metric
            found += [Seen(_titled(each), metric, estimate, limit) for _, _, estimate in rows]
    return found


def _of_statements(rule: str, asked: Asked, side: Side) -> list[Seen]:
    metric, found = STATEMENTS.get(rule), []
    for each in side.statements:
        limit = asked.limit(rule, each.task)
        if each.result.metric == metric and limit is not None:
            found.append(Seen(each.result.task, each.result.metric, each.estimate, limit))
    return found


def _numbers(rule: str, compared: Compared, alpha: float) -> list[tuple[str, str, stats.Estimate]]:
    """Return (task, metric, estimate) of what a comparison says about a rule; nothing where it has no such number."""
    task, facts, pair = compared.result.task, compared.pair.facts, compared.pair
    if rule in _WATCHED:
        rows = [each for each in compared.watched if each.rule == rule]
        return [(each.task, _inner(each.task) or facts.name, each.estimate) for each in rows]
    found: stats.Estimate | None = None
    if rule in {"agreement", "retained_knowledge"}:
        found = _invalid(compared) or fidelity(pair, alpha).get(rule)
    elif rule == "max_drop" and facts.neutral is None:
        found = _invalid(compared) or stats.negated(_difference(compared, alpha))
    return [] if found is None else [(task, facts.name, found)]


def _difference(compared: Compared, alpha: float) -> stats.Estimate:
    pair = compared.pair
    if pair.same_outputs:
        return stats.Estimate(0.0, 0.0, 0.0, pair.n, stats.IDENTICAL)
    if pair.facts.kind == "ratio_of_sums":
        return ratio(pair, 1.0, alpha).delta
    return score_difference(pair, alpha)


def _invalid(compared: Compared) -> stats.Estimate | None:
    pair = compared.pair
    if pair.invalid is None:
        return None
    return stats.Estimate(None, None, None, pair.n, "none", stats.Status.INVALID, pair.invalid)


def judged(rule: str, seen: Sequence[Seen], alpha: float) -> list[GateCheck]:
    """Return a check for each number. FAIL only where its one-sided p-value stands after Holm over all of them."""
    ceiling = rule.startswith("max_")
    against = stats.p_above if ceiling else stats.p_below
    adjusted = stats.adjust_p_values([against(each.estimate, each.limit.threshold) for each in seen])
    checks = []
    for each, p in zip(seen, adjusted, strict=True):
        verdict, reason = at_most(each.estimate, each.limit.threshold) if ceiling else at_least(each)
        if verdict == "FAIL" and len(seen) > 1 and (p is None or p > alpha / 2):
            verdict, reason = "INCONCLUSIVE", f"{reason}, but not after Holm over {len(seen)} tasks"
        checks.append(
            GateCheck(
                rule=rule, task=each.task, metric=each.metric, threshold=each.limit.threshold,
                direction="at_most" if ceiling else "at_least", required=each.limit.required,
                observed=with_floor(each.estimate), verdict=verdict, reason=reason,
            )
        )  # fmt: skip
    return checks


def at_least(seen: Seen) -> tuple[Verdict, str]:
    """Decide "at least": PASS where the lower limit reaches the threshold, FAIL where the upper limit does not."""
    decision = stats.decide(seen.estimate, seen.limit.threshold)
    return decision.verdict.value, decision.reason


def unseen(rule: str, limit: Limit, why: str, task: str | None = None, metric: str | None = None) -> GateCheck:
    """Return the check of a rule whose number is not there: it cannot be decided, and never passes."""
    return GateCheck(
        rule=rule, task=task, metric=metric, threshold=limit.threshold, required=limit.required,
        direction="at_most" if rule.startswith("max_") else "at_least", observed=missing(why), verdict="INCONCLUSIVE",
        reason=why,
    )  # fmt: skip


def _why_unseen(rule: str, name: str, side: Side) -> str:
    if name in side.absent:
        return "did not finish"
    here = any(name in (spec.title, spec.group) for spec in _specs(side))
    return f"this task has no such number: {NOTHING.get(rule, 'not reported')}" if here else "was not evaluated"


def _unfinished(absent: Sequence[str]) -> str:
    return f"{', '.join(absent)} did not finish" if absent else ""


def _stands_for(name: str, side: Side) -> set[str]:
    """Return the tasks that a name of the policy means: the task, or those of the group."""
    return {spec.title for spec in _specs(side) if name in (spec.title, spec.group)}


def _specs(side: Side) -> Iterable[TaskSpec]:
    return [*(_spec(each) for each in side.compared), *(each.task for each in side.statements)]


def _spec(compared: Compared) -> TaskSpec:
    return compared.files[0].cell.task


def _inner(title: str) -> str | None:
    """Return the metric of "task (metric)"."""
    return title.partition(" (")[2].removesuffix(")") or None


def _titled(compared: Compared) -> str:
    return f"{compared.result.task} ({compared.result.metric})"


# -- further metrics of a task ----------------------------------------------------------------------------------------


def _of_metric(asked: Asked, compared: Compared) -> Mapping[str, Limit]:
    own = asked.of_task(_spec(compared))
    rules = own.metrics[compared.result.metric]
    floor = {} if rules.floor is None else {"floor": rules.floor}
    limits = {**rules.limits, **floor}
    return {name: _weighed(limit, own) for name, limit in limits.items()}


def _weighed(limit: Limit, task: OfTask) -> Limit:
    """Return a limit as its task lets it count."""
    return limit if task.required else replace(limit, required=False)


def _floors_of_metrics(asked: Asked, side: Side) -> list[GateCheck]:
    """Return the floors of metrics that are not their task's main one; Holm over all of them."""
    rows = [(each, _of_metric(asked, each).get("floor")) for each in side.others]
    wanted = [(each, limit) for each, limit in rows if limit is not None]
    claims = [replace(each.own, name=_titled(each)) for each, _ in wanted if each.own is not None]
    decided = dict(zip((claim.name for claim in claims), judge(claims, side.alpha, "metrics"), strict=True))
    checks = []
    for each, limit in wanted:
        nothing: tuple[Verdict, str] = ("INCONCLUSIVE", each.result.reason or "it has no retention")
        verdict, reason = decided.get(_titled(each), nothing)
        checks.append(
            GateCheck(
                rule="task_floor", task=_titled(each), metric=each.result.metric, threshold=limit.threshold,
                required=limit.required, observed=each.result.retained, verdict=verdict, reason=reason,
            )
        )  # fmt: skip
    return checks + _missing_metrics(asked, side)


def _missing_metrics(asked: Asked, side: Side) -> list[GateCheck]:
    """Return a check for each rule about a metric that has no comparison: its task did not finish, or not with it."""
    there = {(name, each.result.metric) for each in side.others for name in (_spec(each).title, _spec(each).group)}
    why = "was not evaluated on both sides"
    return [
        unseen("task_floor" if rule == "floor" else rule, _weighed(limit, own), why, f"{task} ({name})")
        for task, own in asked.tasks.items()
        for name, each in own.metrics.items()
        if (task, name) not in there
        for rule, limit in {**each.limits, **({} if each.floor is None else {"floor": each.floor})}.items()
    ]


# -- groups -----------------------------------------------------------------------------------------------------------


def _groups(asked: Asked, side: Side) -> list[GateCheck]:
    """Return the check of every group of every task, and one for each task that has a limit of its own."""
    shared: list[stats.Claim] = []
    checks: list[GateCheck] = []
    everywhere = asked.limits.get("worst_group")
    for each in side.compared:
        own = asked.of_task(_spec(each)).limits.get("worst_group")
        limit = asked.limit("worst_group", _spec(each))
        if limit is None:
            continue
        claims = grouped(each.pair, limit.threshold, side.alpha).claims
        if own is None:
            shared += claims
        else:
            checks.append(_group_check(claims, limit, side.alpha, each.result.task))
    own_limits = {
        name: _weighed(each.limits["worst_group"], each)
        for name, each in asked.tasks.items()
        if "worst_group" in each.limits
    }
    checks += [unseen("worst_group", own_limits[n], "did not finish", n) for n in side.absent if n in own_limits]
    return checks if everywhere is None else [_group_check(shared, everywhere, side.alpha), *checks]


def _group_check(claims: Sequence[stats.Claim], limit: Limit, alpha: float, task: str | None = None) -> GateCheck:
    check = worst_group(claims, limit.threshold, alpha)
    return check.model_copy(update={"required": limit.required, "task": task})
