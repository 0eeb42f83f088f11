"""What one look at a growing suite says, from all looks so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from distbench.stats.anytime import Trail, anytime_estimate
from distbench.stats.betting import BETTING
from distbench.stats.estimate import Estimate, Status, identical
from distbench.stats.exhausted import fixed_suite, fixed_task, meet
from distbench.stats.gate import Claim, Decision, SuiteRule, Verdict, decide_suite
from distbench.stats.stream import GrowingTask, suite_ledger, task_ledger, units_of
from distbench.stats.suite import MAX_LEFT_OUT, SuiteEstimate, summarise_tasks

_SUITE = ""


@dataclass(frozen=True)
class Look:
    """A verdict on the samples so far, and the `open_tasks` of which more samples could change it (none: `final`)."""

    verdict: Verdict
    reason: str
    open_tasks: tuple[str, ...]
    exhausted: bool
    suite: SuiteEstimate
    claims: dict[str, Decision]
    failed: tuple[str, ...]

    @property
    def final(self) -> bool:
        """Whether no further sample is needed, or none is left that could help."""
        return not self.open_tasks


class GrowingSuite:
    """A suite of tasks with the question asked about it; see `SequentialRule` for the numbers."""

    def __init__(
        self, tasks: Sequence[GrowingTask], margin: float, rule: SuiteRule, alpha: float, final_share: float
    ) -> None:
        names = [task.name for task in tasks]
        if not tasks or len(set(names)) < len(names) or _SUITE in names:
            raise ValueError(f"a suite needs at least one task and distinct, non-empty names, not {names}")
        self.tasks = {task.name: task for task in tasks}
        self.margin, self.rule, self.alpha, self.final_share = margin, rule, alpha, final_share
        self.level = alpha / 2 * (1 - final_share)
        self._units = {task.name: units_of(task) for task in tasks}
        self._samples = {
            task.name: units_of(replace(task, clusters=None, cluster_plan=None))
            for task in tasks
            if task.clusters is not None
        }

    def has(self, samples: Mapping[str, int]) -> bool:
        """Tell whether the scores reach a look at `samples` of every task."""
        return all(task.n >= samples[name] for name, task in self.tasks.items())

    def look(self, looks: Sequence[Mapping[str, int]], *, precise: bool) -> Look:
        """Return the verdict at the last of `looks`; with `precise` False its intervals are rough, but not wrong."""
        ended = {name for name, task in self.tasks.items() if looks[-1][name] >= task.total}
        estimates, p_below = {}, {}
        for name, task in self.tasks.items():
            estimates[name], p_below[name] = self._task(task, looks, ended=name in ended, precise=precise)
        suite = self._suite(estimates, looks, precise=precise)
        exhausted = len(ended) == len(self.tasks)
        if exhausted and self.final_share > 0:
            at_end = fixed_suite(list(self.tasks.values()), estimates, alpha=self.alpha * self.final_share)
            suite = meet(suite, at_end.estimate)
        claims = [Claim(name, estimates[name], task.floor, p_below=p_below[name]) for name, task in self.tasks.items()]
        decided = decide_suite(Claim(_SUITE, suite, self.margin), claims, rule=self.rule, alpha=self.alpha)
        open_tasks, reason = self._open(decided.verdict, decided.reason, claims, decided.claims, ended)
        verdict = decided.verdict
        if open_tasks and verdict is not Verdict.INVALID:
            verdict = Verdict.INCONCLUSIVE
        return Look(
            verdict=verdict,
            reason=reason,
            open_tasks=open_tasks,
            exhausted=exhausted,
            suite=summarise_tasks(suite, estimates),
            claims={name: decision for name, decision in decided.claims.items() if name != _SUITE},
            failed=decided.failed,
        )

    def _open(
        self,
        verdict: Verdict,
        reason: str,
        claims: Sequence[Claim],
        decided: Mapping[str, Decision],
        ended: set[str],
    ) -> tuple[tuple[str, ...], str]:
        """Return the tasks whose further samples matter under `verdict`, and the reason to show."""
        if verdict is Verdict.FAIL:
            return (), reason
        going = [claim for claim in claims if claim.name not in ended]
        if self.rule is SuiteRule.EVERY_TASK:
            return tuple(c.name for c in going if decided[c.name].verdict is not Verdict.PASS), reason
        if verdict is not Verdict.PASS:
            return tuple(claim.name for claim in going), reason
        # An undecided task that looks ruined is what an average hides: no PASS before it is settled.
        doubtful = tuple(
            claim.name
            for claim in going
            if decided[claim.name].verdict is not Verdict.PASS
            and claim.estimate.value is not None
            and claim.estimate.value < claim.margin
        )
        return doubtful, f"{reason}; but so far below the floor: {', '.join(doubtful)}" if doubtful else reason

    def _task(
        self, task: GrowingTask, looks: Sequence[Mapping[str, int]], *, ended: bool, precise: bool
    ) -> tuple[Estimate, float]:
        """Return R of a task, and the p-value of H: R ≥ floor as a share of the gate's α."""
        counts = [look[task.name] for look in looks]
        n, units = counts[-1], self._units[task.name]
        if task.invalid is not None:
            return Estimate(None, None, None, n, "none", Status.INVALID, task.invalid), 1.0
        alone = self._samples.get(task.name)
        singly = None if alone is None else task_ledger(alone, counts)
        trail = Trail(task_ledger(units, counts), task.floor, self.level, singly)
        groups = None if task.cluster_plan is None else units.within(n)
        estimate = anytime_estimate(trail, n=n, n_clusters=groups, precise=precise)
        if task.same_outputs and estimate.status is not Status.NO_SIGNAL:
            estimate = identical(n)
        p = float(trail.p_below[-1]) / (1 - self.final_share)
        if ended and self.final_share > 0:
            fixed = fixed_task(task, alpha=self.alpha * self.final_share)
            estimate = meet(estimate, fixed.estimate)
            p = p if fixed.p_below is None else min(p, fixed.p_below / self.final_share)
        return estimate, min(1.0, p)

    def _suite(
        self, estimates: Mapping[str, Estimate], looks: Sequence[Mapping[str, int]], *, precise: bool
    ) -> Estimate:
        kept = [name for name, e in estimates.items() if e.status is not Status.NO_SIGNAL]
        if not kept:
            n = sum(looks[-1].values())
            return Estimate(None, None, None, n, BETTING, Status.NO_SIGNAL, "no task carries a signal")
        n = sum(looks[-1][name] for name in kept)
        if all(self.tasks[name].same_outputs for name in kept):
            estimate = identical(n)
        else:
            estimate = anytime_estimate(self._trail(kept, looks), n=n, precise=precise)
            if len(kept) < len(self.tasks):
                # Which tasks are left out hangs on their scores. The contrast of all of them does not.
                everything = self._trail(list(self.tasks), looks)
                estimate = _hull(estimate, anytime_estimate(everything, n=n, precise=precise))
        left_out = len(self.tasks) - len(kept)
        if left_out > MAX_LEFT_OUT * len(self.tasks):
            why = f"{left_out} of {len(self.tasks)} tasks show no signal; at most {MAX_LEFT_OUT:.0%} may be left out"
            estimate = replace(estimate, status=Status.LEFT_OUT, reason=why)
        return estimate

    def _trail(self, names: Sequence[str], looks: Sequence[Mapping[str, int]]) -> Trail:
        tasks = [self.tasks[name] for name in names]
        parts = [(self._units[task.name], task.weight / abs(task.scale[1] - task.scale[0])) for task in tasks]
        rounds = min(task.planned_units for task in self.tasks.values())
        counts = [[look[name] for name in names] for look in looks]
        return Trail(suite_ledger(parts, counts, rounds=rounds), self.margin, self.level)


def _hull(inner: Estimate, other: Estimate) -> Estimate:
    """Return `inner` with an interval that covers the other one too; without an interval where the other has none."""
    if inner.interval is None or other.interval is None:
        return replace(inner, lo=None, hi=None, status=Status.NO_INTERVAL, reason=other.reason or inner.reason)
    return replace(inner, lo=min(inner.interval.lo, other.interval.lo), hi=max(inner.interval.hi, other.interval.hi))
