"""Why energy could not be read."""

from __future__ import annotations

from distbench.protocols import Missing


class EnergyFault(Exception):  # noqa: N818 - it is what an instrument has, not an error of the run
    """An instrument cannot be read, or must not be believed. It never leaves the meter: other meters go on.

    `final` says that the instrument is of no use for the rest of this process, and its earlier values neither.
    """

    def __init__(self, reason: str, remedy: str = "", *, final: bool = True) -> None:
        super().__init__(reason)
        self.reason, self.remedy, self.final = reason, remedy, final

    @property
    def missing(self) -> Missing:
        """What stands in the place of a reading."""
        return Missing(self.reason, self.remedy, self.final)
