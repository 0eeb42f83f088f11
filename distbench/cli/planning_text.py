"""A plan in the terminal: totals, the longest cells, what does not fit, and what comes first where time is short."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich.console import Console
from rich.table import Table

from distbench.plan.arrange import Bundle
from distbench.plan.estimates.fit import size
from distbench.plan.expand import Plan
from distbench.plan.order import NEEDED
from distbench.plan.outlook import Cell, Outlook
from distbench.plan.studies import studies_of
from distbench.plan.totals import Amount, Total
from distbench.schema.durations import duration
from distbench.schema.forecast import Forecast
from distbench.schema.trusted import trusted_lines
from distbench.suite.grid_names import value_words

SHOWN = 3  # names of what is left out
LISTED, LONGEST = 40, 5  # rows of the list of cells that are printed without being asked for; longest cells
StatusOf = Callable[[str], str]


def show_outlook(
    console: Console,
    plan: Plan,
    outlook: Outlook,
    totals: Sequence[Total],
    status: StatusOf,
    limit: float | None,
    *,
    whole: bool,
) -> None:
    """Print the plan. `limit`: the seconds that there are; `whole`: every cell, however many."""

    def say(line: str) -> None:
        console.print(line, markup=False, soft_wrap=True)

    last = totals[-1]
    settings = plan.chosen.settings
    say(f"{plan.suite.name}: {last.cells:,} cells, {last.done:,} done, {last.cached:,} cached, {last.to_run:,} to run; "
        f"{settings.device} ({plan.chosen.reason}), {settings.dtype}, {settings.threads} threads")  # fmt: skip
    for line in study_lines(plan):
        say(line)
    console.print(_totals(totals))
    for total in totals:
        if total.about:
            say(f"{total.kind}: {total.about}")
    for line in _unknown(outlook):
        say(line)
    if outlook.todo:
        say(_machine(outlook))
    _longest(console, outlook)
    allowed = trusted_lines(((model.name, model.ref.trusted) for model in plan.models), ran=False)
    for line in [*_elsewhere(plan), *(f"allowed: {each}" for each in allowed),
                 *(f"does not fit: {each}" for each in outlook.misfits),
                 *(f"may not fit: {each}" for each in outlook.doubts)]:  # fmt: skip
        say(line)
    if limit is not None:
        for line in _in_time(outlook, limit):
            say(line)
    _cells(console, plan, outlook, status, limit, whole=whole)


def study_lines(plan: Plan) -> list[str]:
    """Return one line a study: how many students, and what differs between them."""
    lines = []
    for study in studies_of(plan.models):
        axes = " × ".join(f"{name} {', '.join(map(value_words, values))}" for name, values in study.axes.items())
        lines.append(f"study {study.name}: {study.students} students ({axes})")
    seeded = [model.name for model in plan.models if model.seed is not None and model.role == "student"]
    if further := [name for name in seeded if "@" in name]:
        lines.append(f"{len(seeded) - len(further)} students are trained with several seeds: {len(seeded)} trainings")
    return lines


def _totals(totals: Sequence[Total]) -> Table:
    table = _table("", "cells", "done", "cached", "to run", "time", "memory (peak)", "disk", "energy")
    for each in totals if len(totals) > 2 else totals[:1]:
        counts = [f"{count:,}" for count in (each.cells, each.done, each.cached, each.to_run)]
        needs = [_amount(each.seconds, duration), _amount(each.memory_bytes, size), _amount(each.disk_bytes, size),
                 _amount(each.energy_joules, joules)] if each.to_run else [""] * 4  # fmt: skip
        table.add_row(each.kind, *counts, *needs)
    return table


def _amount(amount: Amount, words: Callable[[float], str]) -> str:
    if amount.value is None or amount.lo is None or amount.hi is None:
        return "unknown"
    more = f" + {amount.unknown} unknown" if amount.unknown else ""
    return f"{words(amount.value)} [{words(amount.lo)}, {words(amount.hi)}]{more}"


def _one(forecast: Forecast, words: Callable[[float], str]) -> str:
    if forecast.value is None:
        return "unknown"
    return f"{words(forecast.value)} [{words(forecast.lo or 0.0)}, {words(forecast.hi or 0.0)}]"


def counted(number: int) -> str:
    """Return a number of cells in words."""
    return f"{number:,} cell{'' if number == 1 else 's'}"


def joules(value: float) -> str:
    """Return an energy in words."""
    return (
        f"{value / 3.6e6:.3g} kWh"
        if value >= 3.6e5
        else f"{value / 1000:.3g} kJ"
        if value >= 1000
        else f"{value:.3g} J"
    )


def _unknown(outlook: Outlook) -> list[str]:
    """Say why times are not known, once for each reason."""
    reasons: dict[str, list[Cell]] = {}
    for cell in outlook.todo:
        found = outlook.forecasts[cell.id].seconds
        if found.value is None:
            reasons.setdefault(found.why, []).append(cell)
    lines = [
        f"time unknown of {counted(len(cells))}, such as '{cells[0].title}': {why}" for why, cells in reasons.items()
    ]
    if lines:
        lines.append("  --history RUN reads the records of a finished run, --probe SECONDS tries evaluations shortly")
    return lines


def _machine(outlook: Outlook) -> str:
    machine = outlook.machine
    disk = "unknown" if machine.disk is None else size(machine.disk)
    gpus = "".join(f", {name} {size(memory)}" for name, memory in machine.devices.items())
    return f"this machine: {size(machine.free_memory)} of {size(machine.memory)} memory free{gpus}, {disk} disk free"


def _longest(console: Console, outlook: Outlook) -> None:
    known = [cell for cell in outlook.todo if outlook.forecasts[cell.id].seconds.value is not None]
    if len(known) <= LONGEST:
        return
    table = _table("longest", "time", "from")
    for cell in sorted(known, key=lambda cell: -(outlook.forecasts[cell.id].seconds.value or 0.0))[:LONGEST]:
        found = outlook.forecasts[cell.id].seconds
        table.add_row(cell.title, _one(found, duration), f"{found.source}: {found.why}")
    console.print(table)


def _elsewhere(plan: Plan) -> list[str]:
    by_reason: dict[str, int] = {}
    for reason in plan.elsewhere.values():
        by_reason[reason] = by_reason.get(reason, 0) + 1
    return [f"for another machine: {counted(count)}: {reason}" for reason, count in by_reason.items()]


def _in_time(outlook: Outlook, limit: float) -> list[str]:
    left = len(outlook.left_out_cells)
    times = [outlook.forecasts[cell.id].seconds.value for cell in outlook.todo]
    guessed = sum(value is None for value in times)
    if outlook.todo and guessed == len(times):
        return [
            f"in {duration(limit)}: no time is known, so what will be left out cannot be told; cells run in this order"
        ]
    taken = f"; {counted(guessed)} of unknown time: as long as others of the kind, or 1 s" if guessed else ""
    beside = f" (the start of processes comes on top{taken})"
    if not left:
        return [f"in {duration(limit)}: everything is expected to finish{beside}"]
    lines = [f"in {duration(limit)}: {len(outlook.todo) - left} of {counted(len(outlook.todo))}{beside}"]
    lines.append(f"left out: {_abouts(outlook.left_out)}, and what they need: {counted(left)}")
    if needed := [bundle for bundle in outlook.left_out if bundle.tier == NEEDED]:
        lines.append(f"  without {_abouts(needed)} there is no pass: the gate asks for it")
    else:
        lines.append("  the gate asks for none of that")
    return lines


def _abouts(bundles: Sequence[Bundle]) -> str:
    more = f" and {len(bundles) - SHOWN} more" if len(bundles) > SHOWN else ""
    return ", ".join(f"'{bundle.about}'" for bundle in bundles[:SHOWN]) + more


def _cells(
    console: Console, plan: Plan, outlook: Outlook, status: StatusOf, limit: float | None, *, whole: bool
) -> None:
    """List the cells in the order in which they run; of very many only the first."""
    place = {cell_id: n for n, cell_id in enumerate(i for bundle in outlook.order for i in bundle.cells)}
    rows = sorted(plan.cells, key=lambda cell: place.get(cell.id, -1)) if place else list(plan.cells)
    table = _table("cell", "kind", "what", "status", "time", "memory", "from")
    shown = rows if whole else rows[:LISTED]
    for cell in shown:
        needs = outlook.forecasts.get(cell.id)
        cells = ["", "", ""]
        if needs is not None:
            cells = [_one(needs.seconds, duration), _one(needs.memory_bytes, size), needs.seconds.source]
        said = "left out" if limit is not None and cell.id in outlook.left_out_cells else status(cell.id)
        table.add_row(cell.id, cell.kind, cell.title, said, *cells)
    console.print(table)
    if len(rows) > len(shown):
        console.print(f"… and {len(rows) - len(shown):,} more: --verbose or --json has all", markup=False)


def _table(*names: str) -> Table:
    table = Table(title=None, box=None, pad_edge=False)
    for name in names:  # an id or a name that is cut off is no use to anyone
        table.add_column(name, no_wrap=name == "cell", overflow="fold", min_width=20 if name == "what" else None)
    return table
