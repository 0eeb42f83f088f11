"""The base of every value that crosses a process boundary, and the value types they share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$"
Name = Annotated[str, StringConstraints(pattern=NAME_PATTERN)]
Label = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Strict(BaseModel):
    """Frozen, no unknown keys, no silent coercion between types, no NaN or infinity."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Use(BaseModel):
    """A plug-in chosen by name; every other key is an option that the plug-in itself validates."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True, allow_inf_nan=False)

    use: Annotated[str, Field(min_length=1, max_length=64, description="name of an installed plug-in")]

    @property
    def options(self) -> dict[str, Any]:
        """The keys that belong to the plug-in."""
        return dict(self.model_extra or {})


@dataclass(frozen=True)
class Chooses:
    """Marks an option that chooses other plug-ins, of this group: `Annotated[list[Use], Chooses("losses")]`.

    They are then validated with the suite, and a fault in them has a line and a column as any other.
    """

    group: str
