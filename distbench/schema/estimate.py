"""A number of the result document, and what the gate can say."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

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
    too_few: str | None = Field(
        None, description="why the interval decides nothing, at any threshold: too few samples or clusters for its kind"
    )
