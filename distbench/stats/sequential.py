"""The verdict on a suite whose samples are still arriving: stop as soon as it is certain enough, at any look.

Of the gate's α, the share 1 − `final_share` is bet along the looks; the rest is kept for one look with the fixed-size
intervals when there are no samples left (union bound), and is lost where the gate stops before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from distbench.stats.gate import Decision, SuiteRule, Verdict
from distbench.stats.growing import GrowingSuite, Look
from distbench.stats.looks import look_schedule
from distbench.stats.samples import check_alpha
from distbench.stats.stream import GrowingTask
from distbench.stats.suite import SuiteEstimate

# `docs/statistics.md` has the power that other shares buy, and what they cost in samples.
FINAL_SHARE = 0.5


@dataclass(frozen=True)
class SequentialRule:
    """What is asked: retention `margin` of the suite under `rule`, at two-sided `alpha`.

    `final_share` of alpha is kept for the fixed-size look at all samples; 0 does without that look. Raises `ValueError`
    outside [0, 1), and for a bad alpha.
    """

    margin: float = 0.95
    rule: SuiteRule = SuiteRule.DEFAULT
    alpha: float = 0.05
    final_share: float = FINAL_SHARE

    def __post_init__(self) -> None:
        check_alpha(self.alpha)
        if not 0.0 <= self.final_share < 1.0:
            raise ValueError(f"final_share is {self.final_share}; it must lie in [0, 1)")


@dataclass(frozen=True)
class SequentialDecision:
    """The verdict after the last of the `looks` taken, each a number of samples by task.

    `final` means that no further sample is needed: the verdict is certain enough, or the tasks that could still change
    it have no samples left. Otherwise `verdict` is what it would be were this the end (INCONCLUSIVE or INVALID), and
    `wanted` how many samples of every task the next look needs; tasks that are settled keep their number. `exhausted`:
    all samples of all tasks are in.

    `suite` and its tasks hold at the gate's two-sided α whenever one stops; `claims` are the verdicts on the tasks'
    floors, `failed` those that fail after Holm.
    """

    verdict: Verdict
    reason: str
    final: bool
    exhausted: bool
    looks: tuple[dict[str, int], ...]
    wanted: dict[str, int] | None
    suite: SuiteEstimate
    claims: dict[str, Decision]
    failed: tuple[str, ...]

    @property
    def samples(self) -> dict[str, int]:
        """Number of samples of every task that the verdict rests on."""
        return self.looks[-1]


def decide_so_far(
    tasks: Sequence[GrowingTask],
    rule: SequentialRule | None = None,
    *,
    schedule: Sequence[Mapping[str, int]] | None = None,
) -> SequentialDecision:
    """Decide on a suite from the samples so far, each task's a prefix of its seeded random order.

    Every look is taken again from the scores alone, so the same scores and `schedule` (`look_schedule`, the default)
    give the same decision wherever it is recomputed, and samples beyond a final look change nothing. The first look
    with a final verdict decides:

    PASS under the default rule: the suite's contrast at `margin` has been shown to be above 0, no task FAILs its floor,
    and no undecided task is estimated below its floor; such a task goes on alone. FAIL: the suite has been shown below
    its margin, or a task below its floor after Holm. `every_task`: PASS once every task has passed its floor (each
    stops when it has), FAIL as before. Tasks whose teacher shows no signal yet are left out as in `retained_suite`, but
    the contrast with them must agree. A task without further samples is judged by both kinds of interval, and so is the
    suite when all are.

    Raises `ValueError` for no or repeated tasks, a clustered task without a `schedule`, and samples that do not reach
    the first look.
    """
    rule = rule or SequentialRule()
    growing = GrowingSuite(tasks, rule.margin, rule.rule, rule.alpha, rule.final_share)
    schedule = schedule or look_schedule({task.name: _size(task) for task in tasks})
    looks = [{task.name: schedule[0][task.name] for task in tasks}]
    if not growing.has(looks[-1]):
        raise ValueError(f"the samples do not reach the first look at {looks[-1]}")
    while True:
        found = growing.look(looks, precise=False)
        wanted = None if found.final else _next_look(looks[-1], found.open_tasks, schedule)
        if wanted is None or not growing.has(wanted):
            return _decision(growing.look(looks, precise=True), looks, wanted)
        looks.append(wanted)


def _next_look(
    samples: Mapping[str, int], open_tasks: Sequence[str], schedule: Sequence[Mapping[str, int]]
) -> dict[str, int]:
    """Return the first look of the `schedule` at which an open task has more samples; the others stay put."""
    for look in schedule:
        if any(look[name] > samples[name] for name in open_tasks):
            return {name: max(n, look[name]) if name in open_tasks else n for name, n in samples.items()}
    raise ValueError(f"the schedule ends before all samples of {', '.join(open_tasks)}")


def _decision(found: Look, looks: Sequence[dict[str, int]], wanted: dict[str, int] | None) -> SequentialDecision:
    return SequentialDecision(
        verdict=found.verdict,
        reason=found.reason,
        final=found.final,
        exhausted=found.exhausted,
        looks=tuple(looks),
        wanted=wanted,
        suite=found.suite,
        claims=found.claims,
        failed=found.failed,
    )


def _size(task: GrowingTask) -> int:
    if task.cluster_plan is not None:
        raise ValueError(f"task {task.name}: a clustered task needs a schedule that never cuts a cluster")
    return task.total
