"""What a cell reserves of a machine, where an engine or a scheduler shares machines between cells.

It decides where and when a cell runs, never what it computes: it enters no cell's id, and may change on a resume.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from distbench.schema.sizes import Size
from distbench.schema.strict import Name, Strict

Amount = Annotated[float, Field(gt=0, le=100_000)]


class Reserved(Strict):
    """What one cell reserves."""

    cpus: float | None = Field(None, gt=0, le=4096, description="CPUs of a cell; its threads where left out")
    gpus: float | None = Field(
        None,
        ge=0,
        le=64,
        description="GPUs of a cell, a fraction to share one; one a process on a CUDA device where left out",
    )
    memory: Size | None = Field(None, description="main memory of a cell, such as 8GiB; not reserved where left out")
    custom: dict[Name, Amount] | None = Field(None, description="resources that a cluster names itself")


class Reservations(Reserved):
    """What the cells of a suite reserve; a kind of cell may differ."""

    make: Reserved | None = None
    evaluate: Reserved | None = None
    measure: Reserved | None = Field(None, description="a measurement takes a whole node of this size or larger")
