"""A plan before it runs: what its cells need, whether that fits, and what comes first where time is short."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from distbench.plan.arrange import Bundle
from distbench.plan.estimates.fit import doubts, misfits
from distbench.plan.estimates.forecasts import Forecaster
from distbench.plan.estimates.machine import Machine
from distbench.plan.estimates.past import Past
from distbench.plan.expand import Plan
from distbench.plan.order import ordered
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.schema.forecast import CellForecast

Cell = MakeCell | EvaluateCell | MeasureCell


@dataclass(frozen=True)
class Outlook:
    """What is to be done. `costs`: seconds by cell, also of those of which nothing is known: then what others take.

    `order` and `left_out` are empty unless a time was given.
    """

    todo: list[Cell]
    forecasts: dict[str, CellForecast]
    costs: dict[str, float]
    machine: Machine
    misfits: list[str]
    doubts: list[str]
    order: list[Bundle] = field(default_factory=list)
    left_out: list[Bundle] = field(default_factory=list)

    @property
    def left_out_cells(self) -> frozenset[str]:
        """The ids of the cells for which there is no time."""
        return frozenset(cell_id for bundle in self.left_out for cell_id in bundle.cells)


def look_ahead(
    plan: Plan,
    there: Collection[str],
    rows: Sequence[Past],
    machine: Machine,
    max_seconds: float | None = None,
    places: Sequence[Path] = (),
) -> Outlook:
    """Return the outlook of a plan. `there`: cells that are finished or cached; `rows`: earlier records; `places`:
    folders where finished cells lie."""
    forecaster = Forecaster(plan.cells, rows, places)
    todo = [cell for cell in plan.cells if cell.id not in there]
    here = [cell for cell in todo if cell.id not in plan.elsewhere]
    forecasts = {cell.id: forecaster.forecast(cell) for cell in todo}
    costs = _costs(todo, forecasts)
    wrong = misfits(here, forecasts, machine)
    unsure = [] if wrong else doubts(here, forecasts, machine)
    if max_seconds is None:
        return Outlook(todo, forecasts, costs, machine, wrong, unsure)
    order = ordered(plan, {cell.id: costs.get(cell.id, 0.0) for cell in plan.cells}, frozenset(there))
    return Outlook(todo, forecasts, costs, machine, wrong, unsure, order, cut(order, costs, max_seconds))


def _costs(todo: Sequence[Cell], forecasts: dict[str, CellForecast]) -> dict[str, float]:
    """Return seconds for every cell: its own, or the median of its kind; 1 where nothing of its kind is known.

    What a measurement takes says nothing of an evaluation: a guess that is too long leaves out what there is time for,
    one that is too short is ended by the clock.
    """
    known = {cell.id: value for cell in todo if (value := forecasts[cell.id].seconds.value) is not None}
    by_kind = {kind: [known[c.id] for c in todo if c.kind == kind and c.id in known] for kind in {c.kind for c in todo}}
    return {cell.id: known.get(cell.id, median(by_kind[cell.kind] or [1.0])) for cell in todo}


def cut(order: Sequence[Bundle], costs: dict[str, float], max_seconds: float) -> list[Bundle]:
    """Return the bundles for which there is no time, walking the order: one that is too long makes room for others.

    A bundle that is left out takes those along that build on its cells.
    """
    spent, left_out = 0.0, []
    missing: set[str] = set()
    for bundle in order:
        takes = sum(costs[cell_id] for cell_id in bundle.cells)
        if spent + takes > max_seconds or not missing.isdisjoint(bundle.builds_on):
            left_out.append(bundle)
            missing.update(bundle.cells)
        else:
            spent += takes
    return left_out
