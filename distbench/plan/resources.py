"""What each cell reserves of a machine: the suite's `resources`, and what the settings of a cell imply."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from distbench.errors import UsageError
from distbench.executors.job import Resources, enough
from distbench.plan.expand import Cell, Plan
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.schema.forecast import CellForecast
from distbench.schema.resources import Reserved
from distbench.schema.sizes import size_bytes
from distbench.schema.suite import Suite
from distbench.training.processes import processes_of

Reserve = Callable[[Cell], Resources]
SEEN = frozenset({"record", "probe"})  # sources of an estimate that memory is reserved by: this very work, done here


def resources_of(plan: Plan) -> Reserve:
    """Return what says how much a cell of this plan reserves, also one that is added while the run is at work.

    Raises UsageError where a cell would use more than it reserves, or reserves a GPU that it cannot use.
    """
    suite, made = plan.suite, _makers(plan)

    def resources(cell: Cell) -> Resources:
        wishes = [_wish(suite, name) for name in _models(cell, made)]
        chosen = [_resolved(cell, [suite.resources, _of_kind(suite, cell.kind), wish]) for wish in wishes or [None]]
        return replace(enough(chosen), alone=isinstance(cell, MeasureCell))

    for cell in plan.cells:
        resources(cell)
    return resources


def with_estimates(reserve: Reserve, forecasts: Mapping[str, CellForecast]) -> Reserve:
    """Return what cells reserve, with the upper limit of their expected memory where the suite says none.

    Only what was seen here counts; of any other cell nothing is known well enough. A measurement has its whole node.
    """

    def resources(cell: Cell) -> Resources:
        wanted, forecast = reserve(cell), forecasts.get(cell.id)
        need = forecast.memory_bytes if forecast else None
        if wanted.memory is not None or wanted.alone or need is None or need.hi is None or need.source not in SEEN:
            return wanted
        return replace(wanted, memory=round(need.hi), estimated=True)

    return resources


def _makers(plan: Plan) -> dict[str, set[str]]:
    """Return for each cell that makes a model, or what a model is made of, the models that want it."""
    cells = {cell.id: cell for cell in plan.cells}
    made: dict[str, set[str]] = {}

    def visit(cell_id: str, name: str) -> None:
        if name not in made.setdefault(cell_id, set()):
            made[cell_id].add(name)
            for need in cells[cell_id].needs if cell_id in cells else []:
                visit(need, name)

    for model in plan.models:
        if model.ref.cell is not None:
            visit(model.ref.cell, model.control_of or model.seed_of or model.name)
    return made


def _models(cell: Cell, made: dict[str, set[str]]) -> list[str]:
    if isinstance(cell, MakeCell):
        return sorted(made.get(cell.id, ()))
    if isinstance(cell, EvaluateCell):
        return [cell.model.name, *([cell.reference.name] if cell.reference else [])]
    return [ref.name for ref in cell.models]


def _wish(suite: Suite, name: str) -> Reserved | None:
    """Return what a model's own entry reserves; a row of a student on another runtime is named STUDENT@RUNTIME."""
    if name in suite.teachers:
        return suite.teachers[name].resources
    owners = [student for student in suite.students if name == student.name or name.startswith(f"{student.name}@")]
    return max(owners, key=lambda student: len(student.name)).resources if owners else None


def _of_kind(suite: Suite, kind: str) -> Reserved | None:
    found: Reserved | None = getattr(suite.resources, kind) if suite.resources else None
    return found


def _resolved(cell: Cell, wishes: list[Reserved | None]) -> Resources:
    """Return what the last wish that says something asks for; the settings of the cell where none does."""

    def last(key: str) -> object:
        return next((found for wish in reversed(wishes) if wish and (found := getattr(wish, key)) is not None), None)

    cuda, threads = cell.settings.device.startswith("cuda"), cell.settings.threads or 1
    cpus, gpus, memory, custom = (last(key) for key in ("cpus", "gpus", "memory", "custom"))
    chosen = Resources(
        cpus=float(threads if cpus is None else cpus),  # type: ignore[arg-type]
        gpus=float((processes_of(cell) if cuda else 0) if gpus is None else gpus),  # type: ignore[arg-type]
        memory=None if memory is None else size_bytes(str(memory)),
        custom=tuple(sorted(custom.items())) if isinstance(custom, dict) else (),
    )
    if chosen.cpus < threads:
        raise UsageError(
            f"'{cell.title}' would reserve {chosen.cpus:g} CPUs and use {threads} threads; set 'threads' or 'cpus'"
        )
    if cuda != (chosen.gpus > 0):
        said = f"reserves {chosen.gpus:g} GPUs" if chosen.gpus else "reserves no GPU"
        raise UsageError(f"'{cell.title}' {said}, and its device is {cell.settings.device}")
    if chosen.gpus > 1 and chosen.gpus % 1:
        raise UsageError(
            f"'{cell.title}' reserves {chosen.gpus:g} GPUs: only one can be shared; ask for a whole number"
        )
    return chosen
