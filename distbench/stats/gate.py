"""From an estimate and a margin to a verdict, for one claim and for a suite of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from distbench.stats.betting import BETTING, BETTING_AND_FIXED
from distbench.stats.estimate import IDENTICAL, Estimate, Status
from distbench.stats.multiplicity import adjust_p_values
from distbench.stats.samples import check_alpha

# Below these an interval that is not the score interval says PASS too often (simulated), so it may not decide.
MIN_SAMPLES = 100
MIN_CLUSTERS = 10
_HOLDS_AT_ANY_SIZE = frozenset(
    {"score_cml", "wilson", "paired_score", "newcombe", IDENTICAL, BETTING, BETTING_AND_FIXED}
)


class Verdict(StrEnum):
    """The outcome of a gate."""

    PASS = "PASS"  # noqa: S105 - not a password
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NO_SIGNAL = "NO_SIGNAL"
    INVALID = "INVALID"


_WITHOUT_INTERVAL = {
    Status.INVALID: Verdict.INVALID,
    Status.NO_SIGNAL: Verdict.NO_SIGNAL,
    Status.NO_GAP: Verdict.NO_SIGNAL,
}


class SuiteRule(StrEnum):
    """How claims about tasks make a verdict on the suite."""

    DEFAULT = "default"
    EVERY_TASK = "every_task"


@dataclass(frozen=True)
class Decision:
    """A verdict and the sentence that explains it."""

    verdict: Verdict
    reason: str


@dataclass(frozen=True)
class Claim:
    """ "The student retains at least `margin` on `name`": its estimate, and the p-value of the opposite.

    `p_below` is the one-sided p-value of H: R ≥ `margin` (from `margin_test`), small where the student is surely below;
    None where it could not be tested.
    """

    name: str
    estimate: Estimate
    margin: float
    p_below: float | None = None


@dataclass(frozen=True)
class SuiteDecision:
    """The verdict on a suite, and on each of its claims before any correction for their number."""

    verdict: Verdict
    reason: str
    claims: dict[str, Decision]
    failed: tuple[str, ...]


def below_floor(estimate: Estimate) -> str | None:
    """Say why `estimate` rests on too few samples or clusters to decide, or return None.

    The score intervals and betting hold at any n, and identical outputs need none.
    """
    if estimate.method in _HOLDS_AT_ANY_SIZE:
        return None
    n = estimate.n if estimate.n_effective is None else estimate.n_effective
    groups = estimate.n_clusters if estimate.clusters_effective is None else estimate.clusters_effective
    if n < MIN_SAMPLES:
        return f"{n:.0f} samples are below the floor of {MIN_SAMPLES} for this kind of interval"
    if groups is not None and groups < MIN_CLUSTERS:
        return f"{groups:.0f} clusters are below the floor of {MIN_CLUSTERS}"
    return None


def decide(estimate: Estimate, margin: float) -> Decision:
    """Decide whether the estimated quantity is at least `margin`: PASS where lo ≥ margin, FAIL where hi < margin.

    INCONCLUSIVE where the interval holds the margin, where there is none, or below the floors. To gate "at most x
    worse" with `delta`, whose + is better, use the margin −x.
    """
    limits = estimate.interval
    if estimate.status is not Status.OK or limits is None:
        verdict = _WITHOUT_INTERVAL.get(estimate.status, Verdict.INCONCLUSIVE)
        return Decision(verdict, estimate.reason or "there is no interval")
    floor = below_floor(estimate)
    if floor is not None:
        return Decision(Verdict.INCONCLUSIVE, floor)
    if limits.lo >= margin:
        return Decision(Verdict.PASS, f"lower limit {limits.lo:.4f} ≥ {margin:g}")
    if limits.hi < margin:
        return Decision(Verdict.FAIL, f"upper limit {limits.hi:.4f} < {margin:g}")
    return Decision(Verdict.INCONCLUSIVE, f"the interval {limits.lo:.4f} to {limits.hi:.4f} holds {margin:g}")


def decide_suite(
    suite: Claim,
    tasks: Sequence[Claim],
    groups: Sequence[Claim] = (),
    *,
    rule: SuiteRule = SuiteRule.DEFAULT,
    alpha: float = 0.05,
) -> SuiteDecision:
    """Decide on a suite. Two-sided `alpha`: each claim fails at one-sided `alpha`/2 after Holm over tasks and groups.

    `default`: PASS where the suite's ratio passes and no task or group is below its floor even before Holm; FAIL where
    the suite fails, or a task or group after Holm; else INCONCLUSIVE. `every_task`: PASS where every task and group
    passes (intersection–union: no correction); FAIL where one fails after Holm. Any INVALID claim makes it INVALID.
    Raises `ValueError` for names that repeat.
    """
    check_alpha(alpha)
    parts = [*tasks, *groups]
    names = [claim.name for claim in (suite, *parts)]
    if len(set(names)) < len(names):
        raise ValueError(f"the claims of a suite need distinct names, not {names}")
    decided = {claim.name: decide(claim.estimate, claim.margin) for claim in (suite, *parts)}
    invalid = [name for name in names if decided[name].verdict is Verdict.INVALID]
    if invalid:
        return SuiteDecision(Verdict.INVALID, f"not valid: {', '.join(invalid)}", decided, ())
    failed = _failed_after_holm(parts, decided, alpha)
    own = decided[suite.name]
    if rule is SuiteRule.EVERY_TASK:
        verdict, reason = _every_task([decided[claim.name] for claim in parts], failed)
    elif own.verdict is Verdict.FAIL:
        verdict, reason = Verdict.FAIL, f"suite: {own.reason}"
    elif failed:
        verdict, reason = Verdict.FAIL, f"below its floor: {', '.join(failed)}"
    else:
        doubtful = [claim.name for claim in parts if decided[claim.name].verdict is Verdict.FAIL]
        verdict, reason = own.verdict, f"suite: {own.reason}"
        if verdict is Verdict.PASS and doubtful:
            verdict, reason = Verdict.INCONCLUSIVE, f"perhaps below its floor: {', '.join(doubtful)}"
    return SuiteDecision(verdict, reason, decided, failed)


def _every_task(decisions: Sequence[Decision], failed: tuple[str, ...]) -> tuple[Verdict, str]:
    verdicts = [decision.verdict for decision in decisions]
    if failed:
        return Verdict.FAIL, f"below its margin: {', '.join(failed)}"
    if verdicts and all(verdict is Verdict.PASS for verdict in verdicts):
        return Verdict.PASS, "every task passes"
    if all(verdict is Verdict.NO_SIGNAL for verdict in verdicts):
        return Verdict.NO_SIGNAL, "no task carries a signal"
    open_tasks = sum(verdict is not Verdict.PASS for verdict in verdicts)
    return Verdict.INCONCLUSIVE, f"{open_tasks} of {len(verdicts)} tasks do not pass, none surely fails"


def _failed_after_holm(claims: Sequence[Claim], decided: dict[str, Decision], alpha: float) -> tuple[str, ...]:
    """Name the claims that FAIL on their own interval and whose Holm-adjusted p-value stays within α/2."""
    # A claim that cannot decide is still one of the questions asked: it counts through its own p-value, if it has one.
    adjusted = adjust_p_values([claim.p_below for claim in claims])
    return tuple(
        claim.name
        for claim, p in zip(claims, adjusted, strict=True)
        if decided[claim.name].verdict is Verdict.FAIL and p is not None and p <= alpha / 2
    )
