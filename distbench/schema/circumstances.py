"""What was asked, and where it was measured: what must be equal before two runs are compared."""

from __future__ import annotations

from pydantic import Field

from distbench.schema.record import HostFacts
from distbench.schema.strict import Strict


class Asked(Strict):
    """What a task asked: two runs with an equal version, data and prompts asked the same. None: not recorded."""

    version: str | None = None
    data: str | None = Field(None, description="digest of the data")
    prompts: str | None = Field(None, description="digest of every rendered prompt, in order")


class Surroundings(Strict):
    """Where and with what a model was measured; times of other surroundings are never compared as they are."""

    host: HostFacts | None = Field(None, description="None: not known")
    device: str
    threads: int | None
    packages: dict[str, str] = {}
