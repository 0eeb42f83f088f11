"""What the cells of a plan need together, by kind. What is not known is counted, not taken for 0."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from distbench.plan.expand import GROUP, Plan
from distbench.plan.outlook import Outlook
from distbench.schema.cell import MeasureCell
from distbench.schema.forecast import CellForecast, Forecast


@dataclass(frozen=True)
class Amount:
    """A sum (or, of memory, the largest) over cells; `unknown` of them are not in it. None: all are unknown."""

    value: float | None
    lo: float | None
    hi: float | None
    unknown: int


@dataclass(frozen=True)
class Total:
    """The cells of one kind; `about` says what they are."""

    kind: str
    cells: int
    done: int
    cached: int
    to_run: int
    about: str
    seconds: Amount
    memory_bytes: Amount
    disk_bytes: Amount
    energy_joules: Amount


def totals_of(plan: Plan, outlook: Outlook, done: Collection[str], cached: Collection[str]) -> list[Total]:
    """Return a total for each kind of cell that there is, and one for all."""
    kinds = [kind for kind in ("make", "evaluate", "measure") if any(cell.kind == kind for cell in plan.cells)]
    return [_total(plan, outlook, done, cached, [kind], kind) for kind in kinds] + [
        _total(plan, outlook, done, cached, kinds, "total")
    ]


def _total(
    plan: Plan, outlook: Outlook, done: Collection[str], cached: Collection[str], kinds: Sequence[str], name: str
) -> Total:
    cells = [cell for cell in plan.cells if cell.kind in kinds]
    needs = [outlook.forecasts[cell.id] for cell in outlook.todo if cell.kind in kinds]
    about = {"evaluate": _evaluations, "measure": _measurements}.get(name)
    return Total(
        kind=name,
        cells=len(cells),
        done=sum(cell.id in done for cell in cells),
        cached=sum(cell.id in cached for cell in cells),
        to_run=len(needs),
        about=about(plan) if about else "",
        seconds=_amount(needs, lambda need: need.seconds),
        memory_bytes=_amount(needs, lambda need: need.memory_bytes, largest=True),
        disk_bytes=_amount(needs, lambda need: need.disk_bytes),
        energy_joules=_amount(needs, lambda need: need.energy_joules),
    )


def _amount(
    needs: Sequence[CellForecast], part: Callable[[CellForecast], Forecast], *, largest: bool = False
) -> Amount:
    """Add up: limits, too, since what is wrong with one estimate on a busy machine is wrong with all of them."""
    known = [found for need in needs if (found := part(need)).value is not None]
    if not known:
        return Amount(None, None, None, len(needs)) if needs else Amount(0.0, 0.0, 0.0, 0)
    join: Callable[[list[float]], float] = max if largest else sum
    value, lo, hi = (join([getattr(found, name) or 0.0 for found in known]) for name in ("value", "lo", "hi"))
    return Amount(value, lo, hi, len(needs) - len(known))


def _evaluations(plan: Plan) -> str:
    """Say how many models are asked how many tasks: an evaluation does not depend on the devices that are measured."""
    roles = {model.ref.identity: model.role for model in reversed(plan.models)}
    count = dict.fromkeys(("teacher", "student", "control"), 0)
    for cell in plan.cells:
        if cell.kind == "evaluate":
            count[roles.get(cell.model.identity, "student")] += 1
    return ", ".join(f"{number:,} of {role}s" for role, number in count.items() if number)


def _measurements(plan: Plan) -> str:
    cells = [cell for cell in plan.cells if isinstance(cell, MeasureCell)]
    students = {model.name for model in plan.models if model.role == "student"}
    count = sum(ref.name in students for cell in cells for ref in cell.models)
    devices = list(dict.fromkeys(cell.settings.device for cell in cells))
    return f"{count:,} measurements of students on {', '.join(devices)}; up to {GROUP} beside their teacher in a cell"
