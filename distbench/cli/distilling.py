"""`distil`: only the cells that make students, and where their checkpoints lie."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.table import Table

from distbench.cli.ahead import Timed, budget_of, foresee
from distbench.cli.engines import LOCAL, EngineWish, reserved
from distbench.cli.output import err, out, print_json
from distbench.cli.running import Request, runner_of, tell_place
from distbench.errors import DistbenchError, ExitCode, UsageError, did_you_mean
from distbench.execute.budget import Budget
from distbench.execute.kept import kept_words
from distbench.execute.run import Execution
from distbench.execute.start import begin
from distbench.hashing import file_digest
from distbench.plan.expand import Cell, Plan, expand
from distbench.schema.durations import duration
from distbench.schema.plan import PlannedModel
from distbench.schema.record import MakeResult
from distbench.store.files import copy_whole
from distbench.store.run_dir import RunDir


@dataclass(frozen=True)
class Wish:
    """Which students to make; none named: all. `to`: a folder for copies of the checkpoints."""

    names: Sequence[str]
    to: Path | None
    controls: bool


def distil_suite(
    request: Request, wish: Wish, out_dir: Path | None, *, as_json: bool, quiet: bool, on: EngineWish = LOCAL
) -> ExitCode:
    """Make the students and print what became of them."""
    limit = request.ahead.max_seconds  # a wrong one is said before anything is read
    loaded = request.load()
    path = request.place(out_dir, loaded)
    with on.engine() as engine:
        plan = expand(loaded.suite, loaded.directory, request.device, request.trusted or (), elsewhere=engine.elsewhere)
        models = _wanted(plan, wish)
        _refuse_occupied(models, wish.to, path)
        cells = _making(plan, models)
        outlook = foresee(replace(plan, cells=cells), path, request.ahead, elsewhere=engine.elsewhere)
        reserve = reserved(engine, plan, cells, path, outlook.forecasts)
        run = RunDir.prepare(path)
        with run.lock(), _told_what_is_kept(run, cells):
            begin(plan, run, loaded.digest, ["distbench", *sys.argv[1:]])
            tell_place(out_dir, path, plan)
            timed = Timed(outlook, budget_of(outlook, limit))
            with runner_of(plan, cells, run, engine.executor(run.path), reserve, timed, quiet=quiet) as runner:
                state = runner.execute()
            rows = [_row(model, run, state, timed.budget) for model in models]
            if wish.to is not None:
                _copy(rows, wish.to)
    _show(rows, run, as_json=as_json)
    late = [row["name"] for row in rows if "left_out" in row]
    if late and timed.budget is not None:
        spent = f"{duration(timed.budget.spent)} of {duration(timed.budget.seconds)} were spent"
        words = f"no time to make {', '.join(late)} ({spent}); the same command with --out {run.path} goes on"
        err().print(words, markup=False, soft_wrap=True)
    return ExitCode.INCONCLUSIVE if late and not state.failed else state.exit_code


@contextmanager
def _told_what_is_kept(run: RunDir, cells: Sequence[Cell]) -> Iterator[None]:
    """Where the command is interrupted, say what is kept."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, DistbenchError):
            words = f"{kept_words(run, cells)}; the same command with --out {run.path} goes on"
            err().print(words, markup=False, soft_wrap=True)
        raise


def _wanted(plan: Plan, wish: Wish) -> list[PlannedModel]:
    """Return the students that are made here, and their controls."""
    made = {model.name: model for model in plan.models if model.role != "teacher" and model.ref.cell is not None}
    students = {name: model for name, model in made.items() if model.role == "student"}
    for name in wish.names:
        if name not in students:
            known = {model.name for model in plan.models if model.role == "student"}
            if name in known:
                raise UsageError(f"student {name!r} is loaded from its source: there is nothing to make")
            raise UsageError(f"the suite makes no student {name!r}{did_you_mean(name, students)}")
    if not students:
        raise UsageError(f"suite {plan.suite.name!r} makes no student: all are loaded from their sources")
    chosen = set(wish.names or students)
    chosen |= {model.name for model in made.values() if model.seed_of in chosen}  # its other training runs
    return [
        model
        for model in made.values()
        if (model.name in chosen and model.role == "student")
        or (wish.controls and model.role == "control" and (model.control_of in chosen or model.seed_of in chosen))
    ]


def _making(plan: Plan, models: Sequence[PlannedModel]) -> list[Cell]:
    """Return the cells that make the models, with what they need, in plan order."""
    cells = {cell.id: cell for cell in plan.cells}
    wanted: set[str] = set()

    def visit(cell_id: str) -> None:
        if cell_id not in wanted:
            wanted.add(cell_id)
            for need in cells[cell_id].needs:
                visit(need)

    for model in models:
        assert model.ref.cell is not None
        visit(model.ref.cell)
    return [cell for cell in plan.cells if cell.id in wanted]


def _row(model: PlannedModel, run: RunDir, state: Execution, budget: Budget | None) -> dict[str, Any]:
    assert model.ref.cell is not None
    row: dict[str, Any] = {"name": model.name, "role": model.role, "made_by": model.made_by}
    if budget is not None and model.ref.cell in budget.left_out:
        return row | {"checkpoint": None, "left_out": budget.left_out[model.ref.cell]}
    if model.ref.cell in state.failed or not run.is_done(model.ref.cell):
        return row | {"checkpoint": None, "error": state.failed.get(model.ref.cell, "it was not made")}
    row["checkpoint"] = str((run.cells / model.ref.cell / "model").resolve())
    result = run.record(model.ref.cell).result
    assert isinstance(result, MakeResult)
    if training := result.training:
        row |= {
            "objective": training.objective,
            "units": training.units,
            "steps": training.steps,
            "seconds": training.seconds,
            "heldout_kl_before": training.heldout_kl_before,
            "heldout_kl_after": training.heldout_kl_after,
            "heldout_cross_entropy": training.options.get("heldout_cross_entropy"),
            "stopped": training.stopped,
        }
    return row


def _refuse_occupied(models: Sequence[PlannedModel], to: Path | None, run: Path) -> None:
    """Raise UsageError where a folder exists, other than the checkpoint that an earlier start of this run put there."""
    for model, target in [(model, to / model.name) for model in models] if to is not None else []:
        if target.exists() and not _same(run / "cells" / (model.ref.cell or "") / "model", target):
            raise UsageError(f"{target} exists already; name another --to folder")


def _same(one: Path, two: Path) -> bool:
    """Say whether two folders hold the same files with the same content."""
    if not one.is_dir() or not two.is_dir():
        return False
    names = [sorted(p.relative_to(folder) for p in folder.rglob("*") if p.is_file()) for folder in (one, two)]
    return names[0] == names[1] and all(file_digest(one / name) == file_digest(two / name) for name in names[0])


def _copy(rows: Sequence[dict[str, Any]], to: Path) -> None:
    for row in rows:
        if row["checkpoint"] is None:
            continue
        target = to / row["name"]
        if not target.exists():  # else an earlier start of this command has copied it
            copy_whole(Path(row["checkpoint"]), target)
        row["checkpoint"] = str(target.resolve())


def _show(rows: Sequence[dict[str, Any]], run: RunDir, *, as_json: bool) -> None:
    if as_json:
        print_json({"run": str(run.path.resolve()), "models": list(rows)})
        return
    table = Table(box=None, pad_edge=False)
    for name in ("model", "objective", "tokens or examples", "seconds", "held-out", "checkpoint"):
        table.add_column(name, overflow="fold")
    for row in rows:
        table.add_row(
            row["name"],
            row.get("objective", "–"),
            str(row.get("units", "–")),
            f"{row['seconds']:.0f}" if "seconds" in row else "–",
            _heldout(row),
            row["checkpoint"] or (f"left out: {row['left_out']}" if "left_out" in row else f"FAILED: {row['error']}"),
        )
    out().print(table)
    out().print(f"run: {run.path.resolve()}", markup=False, soft_wrap=True)


def _heldout(row: dict[str, Any]) -> str:
    """Return how far a student came on held-out data: from its teacher, or in predicting what came."""
    if row.get("heldout_kl_after") is not None:
        return f"KL {_change(row['heldout_kl_before'], row['heldout_kl_after'])}"
    if entropy := row.get("heldout_cross_entropy"):
        return f"cross-entropy {_change(*entropy)}"
    return "–"


def _change(before: float | None, after: float | None) -> str:
    if after is None:
        return "–"
    return f"{after:.4g}" if before is None else f"{before:.4g} → {after:.4g}"
