"""Up to which input length does the student keep up?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from distbench.stats.estimate import Estimate
from distbench.stats.gate import Verdict, decide


def effective_length(
    buckets: Mapping[int, Estimate], margin: float, *, expected: Sequence[int] | None = None
) -> int | None:
    """Return the longest length bucket that passes `margin` with all shorter ones passing too; None where none does.

    `buckets` maps the upper length of a bucket (tokens) to its retention, each decided by its own interval. `expected`
    names the buckets that should exist: a missing one is not 0, but nothing beyond it is claimed either.
    """
    longest = None
    for length in sorted(buckets if expected is None else {*buckets, *expected}):
        estimate = buckets.get(length)
        if estimate is None or decide(estimate, margin).verdict is not Verdict.PASS:
            break
        longest = length
    return longest
