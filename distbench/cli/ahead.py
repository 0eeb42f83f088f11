"""Before anything runs: what cells need, whether it fits, and what there is time for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from distbench.errors import EnvironmentFault, UsageError
from distbench.execute.budget import Budget, in_order
from distbench.execute.queue import Cell
from distbench.plan.estimates.fit import refuse
from distbench.plan.estimates.history import read_history
from distbench.plan.estimates.machine import this_machine
from distbench.plan.expand import Plan
from distbench.plan.order import NEEDED
from distbench.plan.outlook import Outlook, look_ahead
from distbench.schema.durations import duration, duration_seconds
from distbench.store.cache import Cache

BATCHES = 20  # parts of the time in which evaluations are sorted by model


@dataclass(frozen=True)
class Horizon:
    """How far ahead to look: finished runs whose records count besides the cache's, a trial, and a time limit.

    `force`: begin also what surely does not fit.
    """

    history: Sequence[Path] = field(default=())
    probe_seconds: float | None = None
    max_time: str | None = None
    force: bool = False

    @property
    def max_seconds(self) -> float | None:
        """The time that there is (s)."""
        return None if self.max_time is None else duration_seconds(self.max_time, "--max-time")


def foresee(plan: Plan, path: Path, horizon: Horizon, *, elsewhere: bool) -> Outlook:
    """Return the outlook of a run that is about to begin. `elsewhere`: its cells run on other machines.

    Raises EnvironmentFault where a cell surely does not fit, or belongs to a device that is not here; UsageError where
    there is not even the time for the first comparison.
    """
    cache, limit = Cache(), horizon.max_seconds
    folders = (path / "cells", cache.root / "cells")  # no measurement is in the cache
    there = {cell.id for cell in plan.cells if any((folder / cell.id).is_dir() for folder in folders)}
    own = [path] if (path / "manifest.json").is_file() else []
    rows = read_history(cache, [*horizon.history, *own])
    outlook = look_ahead(plan, there, rows, this_machine(path, cache), limit, folders)
    away = [cell for cell in outlook.todo if cell.id in plan.elsewhere]
    if away:
        raise EnvironmentFault(f"'{away[0].title}' belongs to another machine: {plan.elsewhere[away[0].id]}")
    if not elsewhere and not horizon.force:
        refuse(outlook.misfits)
    if limit is not None and not elsewhere:  # a cluster works on several cells at once
        _check_time(outlook, limit)
    return outlook


def _check_time(outlook: Outlook, limit: float) -> None:
    """Refuse a time in which nothing can be said, where that is sure: also the least estimate is longer."""
    if not outlook.order or outlook.left_out != outlook.order:
        return
    least = min(outlook.order, key=lambda bundle: sum(outlook.costs[cell_id] for cell_id in bundle.cells))
    times = [outlook.forecasts[cell_id].seconds.lo for cell_id in least.cells]
    if None not in times and sum(time or 0.0 for time in times) > limit:
        takes = duration(sum(outlook.costs[cell_id] for cell_id in least.cells))
        raise UsageError(f"--max-time {duration(limit)} is too short: '{least.about}' alone takes about {takes}")


def budget_of(outlook: Outlook, limit: float | None) -> Budget | None:
    """Return the time that a run has; None: as long as it takes."""
    return None if limit is None else Budget(limit, outlook.order, outlook.costs)


@dataclass(frozen=True)
class Timed:
    """The outlook of a run and the time that it has; None: as long as it takes."""

    outlook: Outlook
    budget: Budget | None

    @property
    def left_out(self) -> frozenset[str]:
        """Return the cells for which there was no time."""
        return frozenset(self.budget.left_out) if self.budget else frozenset()

    @property
    def needed(self) -> frozenset[str]:
        """Return those of them that a verdict cannot do without; a part that a sequential gate wants is one."""
        spare = {i for bundle in self.outlook.order if bundle.tier != NEEDED for i in bundle.cells}
        return self.left_out - spare

    def cells(self, cells: list[Cell]) -> list[Cell]:
        """Return cells in the order in which they are to run."""
        if self.budget is None:
            return cells
        batch = self.budget.seconds / BATCHES
        return in_order(cells, self.outlook.order, self.outlook.costs, batch)

    def words(self, run: Path) -> str:
        """Return what was left out of a run, in words."""
        assert self.budget is not None, "else nothing is left out"
        needed = f", {len(self.needed)} of them needed for a verdict" if self.needed else ", none of them gated"
        return (
            f"no time for {len(self.left_out)} cells{needed} ({duration(self.budget.spent)} of "
            f"{duration(self.budget.seconds)} were spent); the same command with --out {run} goes on"
        )


def expectation(outlook: Outlook) -> str | None:
    """Return how long the run is expected to take, in words; None where nothing is to do or nothing is known."""
    found = [outlook.forecasts[cell.id].seconds for cell in outlook.todo]
    known = [each for each in found if each.value is not None]
    if not known:
        return None
    value, lo, hi = (sum(getattr(each, name) or 0.0 for each in known) for name in ("value", "lo", "hi"))
    rest = len(found) - len(known)
    more = f", without {rest} cell{'' if rest == 1 else 's'} of unknown time" if rest else ""
    return f"expected to take {duration(value)} [{duration(lo)}, {duration(hi)}] and the start of processes{more}"
