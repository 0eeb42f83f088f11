"""A number of the result document, and what the gate can say."""

from __future__ import annotations

from typing import Literal

from distbench.schema.strict import Strict

Verdict = Literal["PASS", "FAIL", "INCONCLUSIVE", "NO_SIGNAL", "INVALID"]


class Estimate(Strict):
    """A number with its interval. A missing value is null with a reason; an unbounded limit is null too."""

    value: float | None
    lo: float | None = None
    hi: float | None = None
    n: int = 0
    method: str
    status: str = "ok"
    reason: str | None = None
