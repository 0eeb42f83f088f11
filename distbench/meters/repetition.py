"""How often a meter repeats: the options that every repeating meter has."""

from __future__ import annotations

from pydantic import Field, model_validator

from distbench.schema.strict import Strict


class Repetition(Strict):
    """Rounds in launches. More launches tell more than more rounds: the spread between processes is the larger one."""

    rounds: int = Field(6, ge=2, le=10_000, description="rounds per process launch; in each, every model runs once")
    launches: int = Field(5, ge=1, le=100, description="fresh processes per model, at least")
    max_launches: int | None = Field(
        None, ge=1, le=100, description="launches added until every ratio is within `precision`; `launches` if unset"
    )
    precision: float = Field(
        0.02, gt=0, lt=1, description="half-width of a ratio's interval, as a part of it, at which launches end"
    )
    max_seconds: float = Field(
        600.0, gt=0, le=864_000, description="no new round starts after this; the record says so"
    )

    @model_validator(mode="after")
    def _ordered(self) -> Repetition:
        if self.max_launches is not None and self.max_launches < self.launches:
            raise ValueError(f"max_launches {self.max_launches} is below launches {self.launches}")
        return self

    @property
    def most_launches(self) -> int:
        """Return how many launches there can be."""
        return self.max_launches or self.launches
