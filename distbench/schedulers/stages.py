"""Which cells may run at the same time: stages of independent jobs, a function of the plan alone.

A job keeps its number whatever is finished, so a script that was written once stays right.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell

Cell = MakeCell | EvaluateCell | MeasureCell
KINDS = ("make", "evaluate", "measure")


@dataclass(frozen=True)
class Stage:
    """Jobs that need nothing of each other. `after` names the stages that make what they open."""

    name: str
    kind: str
    jobs: list[list[Cell]] = field(default_factory=list)
    after: tuple[str, ...] = ()


def stages_of(cells: Sequence[Cell], chunk: int = 1) -> list[Stage]:
    """Return the stages of a plan in an order in which they can run: makes, then evaluations, then measurements.

    Cells of one kind are a stage when as many steps lie before them. `chunk` evaluations of one model, at most, are one
    job, which loads the model once.
    """
    levels, named = _levels(cells), dict[str, str]()
    stages: dict[str, list[Cell]] = {}
    for cell in sorted(cells, key=lambda each: (KINDS.index(each.kind), levels[each.id])):  # stable: else plan order
        named[cell.id] = f"{cell.kind}-{levels[cell.id]}"
        stages.setdefault(named[cell.id], []).append(cell)
    return [
        Stage(name, mine[0].kind, _jobs(mine, chunk), tuple(dict.fromkeys(named[n] for c in mine for n in c.needs)))
        for name, mine in stages.items()
    ]


def _levels(cells: Iterable[Cell]) -> dict[str, int]:
    """Return 1 for a cell that needs nothing, else one more than the highest level that it needs."""
    by_id = {cell.id: cell for cell in cells}
    levels: dict[str, int] = {}

    def level(cell_id: str) -> int:
        if cell_id not in levels:
            levels[cell_id] = 1 + max((level(need) for need in by_id[cell_id].needs), default=0)
        return levels[cell_id]

    for cell_id in by_id:
        level(cell_id)
    return levels


def _jobs(cells: Sequence[Cell], chunk: int) -> list[list[Cell]]:
    jobs: list[list[Cell]] = []
    for cell in cells:
        last = jobs[-1] if jobs else []
        if last and len(last) < chunk and _one_model(last[-1], cell):
            last.append(cell)
        else:
            jobs.append([cell])
    return jobs


def _one_model(last: Cell, cell: Cell) -> bool:
    if not (isinstance(last, EvaluateCell) and isinstance(cell, EvaluateCell)):
        return False
    return last.model.identity == cell.model.identity and last.needs == cell.needs
