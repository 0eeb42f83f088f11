"""What every source of energy readings is, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

Clock = Callable[[], float]  # seconds, monotonic


@dataclass
class Window:
    """A stretch of time and the energy in it; both are known once it has ended."""

    joules: float = 0.0
    seconds: float = 0.0


class Source(Protocol):
    """Energy of one thing, such as a GPU board. Everything here raises EnergyFault where it cannot be done."""

    name: str  # as in `source:` of the suite
    scope: str  # what is in its joules; sources of different scopes are never compared
    least_window: float  # seconds that a window lasts at least, however fast the counter is

    def period(self, stir: Callable[[], object]) -> float:
        """Return the seconds between two updates of the instrument, measured now.

        `stir` does a little work: power that does not change at rest may change under load.
        """
        ...

    def watch(self) -> AbstractContextManager[Window]:
        """Return a window that is as long as its `with` block."""
        ...

    def guard(self) -> None:
        """Refuse what would be counted to the model although it is not the model's: other processes, a shared board."""
        ...

    def limit_watts(self) -> float | None:
        """Return the power that the hardware enforces; None where it does not tell."""
        ...

    def facts(self) -> dict[str, float | str]:
        """Return what identifies the instrument."""
        ...

    def close(self) -> None:
        """Let go of the instrument."""
        ...
