"""An estimate with its interval, and what can stand in the way of one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from distbench.stats.intervals import Interval

IDENTICAL = "identical"


class Status(StrEnum):
    """Why an estimate has, or has not, a value and an interval."""

    OK = "ok"
    NO_SIGNAL = "no_signal"  # the teacher is not significantly above the baseline: there is nothing to retain
    NO_GAP = "no_gap"  # the teacher is not significantly above the control: there is nothing to recover
    NO_INTERVAL = "no_interval"  # a value, but the samples carry no information on its spread
    LEFT_OUT = "left_out"  # too many tasks carry no signal for the rest to speak for the suite
    UNDEFINED = "undefined"  # the quantity does not exist for these data (0 / 0)
    INVALID = "invalid"  # the comparison itself is not valid (coverage, prompts); set by the caller


@dataclass(frozen=True)
class Estimate:
    """A number with its two-sided interval. What is missing is None, and `reason` says why; nothing is ever clipped.

    `se` is a standard error in the units of `value`, and `df` the degrees of freedom behind the interval (None =
    normal, or no such number). `n_clusters` is None where samples are taken as independent. `n_effective` and
    `clusters_effective` replace `n` and `n_clusters` against the floors of the gate where samples do not all weigh
    the same.
    """

    value: float | None
    lo: float | None
    hi: float | None
    n: int
    method: str
    status: Status = Status.OK
    reason: str | None = None
    se: float | None = None
    df: float | None = None
    n_clusters: int | None = None
    n_effective: float | None = None
    clusters_effective: float | None = None

    @property
    def interval(self) -> Interval | None:
        """The interval, or None where there is none."""
        return None if self.lo is None or self.hi is None else Interval(self.lo, self.hi)


def identical(n: int = 0) -> Estimate:
    """Return the estimate of a student whose *outputs* all equal the teacher's: exactly 1, in [1, 1].

    Equal correctness is not enough: two models can be right on the same 80 of 100 items and still differ on the next.
    Only the caller can know (equal digests of the model, or of every answer), so this is never inferred from scores.
    `n` is the number of samples compared.
    """
    return Estimate(1.0, 1.0, 1.0, n, IDENTICAL)


def negated(estimate: Estimate) -> Estimate:
    """Return the estimate of the quantity with its sign turned: "at least −x" becomes "at most x"."""
    value, lo, hi = (None if x is None else -x for x in (estimate.value, estimate.hi, estimate.lo))
    return replace(estimate, value=value, lo=lo, hi=hi)
