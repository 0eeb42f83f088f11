"""How long a cell may take and how much memory it may hold, before it is ended and counts as failed.

Limits decide whether a cell finishes, never what it computes: they enter no cell's id, and may change on a resume.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from distbench.schema.sizes import Size, size_bytes
from distbench.schema.strict import Strict

Seconds = Annotated[float, Field(gt=0, le=31_536_000)]


class Limit(Strict):
    """What one cell may use."""

    seconds: Seconds | None = Field(None, description="wall time of a cell; no limit where left out")
    memory: Size | None = Field(
        None, description="main memory that a cell and its child processes hold together, such as 8GiB"
    )
    silence: Seconds | None = Field(
        None, description="seconds without a sign of progress; where left out, 30 minutes are reported and nothing ends"
    )


class Limits(Limit):
    """What the cells of a suite may use; a kind of cell may differ."""

    make: Limit | None = None
    evaluate: Limit | None = None
    measure: Limit | None = None

    def of(self, kind: Literal["make", "evaluate", "measure"]) -> Limit:
        """Return the limits of a kind of cell: its own where it has them, else those of all cells."""
        own: Limit | None = getattr(self, kind)
        given = {} if own is None else own.model_dump(exclude_none=True)
        return Limit(**(self.model_dump(exclude={"make", "evaluate", "measure"}) | given))

    def overridden(self, seconds: float | None, memory: Size | None) -> Limits:
        """Return these limits with what the command line says instead, for every kind of cell."""
        given = {name: value for name, value in (("seconds", seconds), ("memory", memory)) if value is not None}
        kinds = {
            kind: own.model_copy(update=given)
            for kind in ("make", "evaluate", "measure")
            if (own := getattr(self, kind)) is not None
        }
        return self.model_copy(update=given | kinds)


def allowed_bytes(limit: Limit) -> int | None:
    """Return the bytes that a cell may hold; None: no limit."""
    return None if limit.memory is None else size_bytes(limit.memory)
