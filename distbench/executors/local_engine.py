"""The engine of one machine: one job after the other, so that nothing disturbs a measurement."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

from pydantic import BaseModel

from distbench.executors.engine import Executor
from distbench.executors.job import Resources
from distbench.executors.local import LocalExecutor
from distbench.schema.strict import Strict


class LocalOptions(Strict):
    """None: this machine is as it is."""


class LocalEngine:
    """Runs cells here."""

    Options: ClassVar[type[BaseModel]] = LocalOptions
    elsewhere: ClassVar[bool] = False

    def __init__(self, options: BaseModel) -> None:
        self.options = options

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing was opened."""

    def check(self, wanted: Iterable[tuple[str, Resources]]) -> None:
        """Every cell has the whole machine: nothing is reserved, so nothing can be missing."""

    def executor(self, run: Path) -> Executor:
        """Return what runs the jobs of a run directory."""
        return LocalExecutor(run)
