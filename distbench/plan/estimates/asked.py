"""A planned cell as the estimates see it: what kind of work, on which model, how much, how large."""

from __future__ import annotations

from dataclasses import dataclass

from distbench.plan.estimates.likeness import amount_of, lineage, model_key, signature
from distbench.plan.estimates.past import Past
from distbench.plan.estimates.shape import Sizes
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell


@dataclass(frozen=True)
class Asked:
    """What is to be done. `amount` and `params`: None where nobody knows before it is done."""

    id: str
    kind: str
    title: str
    signature: str
    model: str
    amount: float | None
    params: int | None
    use: str = ""


def asked(cell: MakeCell | EvaluateCell | MeasureCell, sizes: Sizes, known: dict[int, str]) -> Asked:
    """Return what a cell asks for. `known` keeps the signatures of tasks, which thousands of cells share, by object."""
    size = sizes.of(cell.model) if isinstance(cell, EvaluateCell) else None
    if isinstance(cell, MakeCell):
        size = sizes.made(cell)
    model = lineage(cell) if isinstance(cell, MakeCell) else model_key(cell)
    use = "" if isinstance(cell, MeasureCell) else cell.use if isinstance(cell, MakeCell) else cell.model.use
    params = size.params if size else None
    plain = isinstance(cell, EvaluateCell) and cell.reference is None
    key = id(cell.task) if isinstance(cell, EvaluateCell) else 0
    work = (known.get(key) if plain else None) or signature(cell)
    if plain:
        known[key] = work
    return Asked(cell.id, cell.kind, cell.title, work, model, amount_of(cell), params, use)


def asked_again(row: Past) -> Asked:
    """Return what a finished cell asked for: to predict what is known."""
    return Asked(row.id, row.kind, row.title, row.signature, row.model, row.amount, row.params, row.use)
