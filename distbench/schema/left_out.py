"""What a run with a time limit did not begin."""

from __future__ import annotations

from pydantic import Field

from distbench.schema.strict import Strict

LEFT_OUT = "left_out.json"


class LeftOut(Strict):
    """The cells for which `run --max-time` had no time; a later start without the limit runs them."""

    max_seconds: float
    spent_seconds: float = Field(description="when the run ended")
    cells: dict[str, str] = Field(description="cell → why")
