"""What a failed assertion says: the number, its interval, n, how it was decided, and what would decide."""

from __future__ import annotations

from dataclasses import dataclass

from distbench.report import numbers
from distbench.report.visible import one_line
from distbench.schema.estimate import Estimate, Verdict
from distbench.stats import Interval
from distbench.stats.power import samples_from_interval


@dataclass(frozen=True)
class Claim:
    """A claim about a run and how it was decided. `more`: what would decide, or the rules that did."""

    said: str
    asked: str | None
    n: int | None
    verdict: Verdict
    why: str
    more: str = ""


def failure(claim: Claim) -> str:
    """Return the message of a claim that does not hold, or of which nobody can say whether it does."""
    size = f", {numbers.items(claim.n)}" if claim.n else ""
    asked = f"; asked: {claim.asked}" if claim.asked else ""
    lines = [f"{claim.said}{size}{asked}", f"  {claim.verdict}: {one_line(claim.why, 400)}"]
    return "\n".join([*lines, *([f"  {claim.more}"] if claim.more else [])])


def what_would_decide(found: Estimate, threshold: float, alpha: float, verdict: Verdict, *, least: bool = True) -> str:
    """Return how many samples would decide an undecided claim, or why no number of them would.

    `least`: the claim is "at least", else "at most".
    """
    if verdict != "INCONCLUSIVE" or found.value is None:
        return ""
    if found.lo is None or found.hi is None or found.n < 1:
        return "a bounded interval is needed: more samples, or a teacher further from chance"
    if not found.lo <= threshold <= found.hi:
        return ""  # its interval may not decide: the verdict's reason says how many samples it takes
    needed = samples_from_interval(found.value, Interval(found.lo, found.hi), found.n, margin=threshold, alpha=alpha)
    if needed is None:
        return "the number sits on the threshold: no number of samples would decide"
    expected = "PASS" if (found.value > threshold) == least else "FAIL"
    return f"about {numbers.count(needed)} samples would decide (now {numbers.count(found.n)}); expect {expected}"
