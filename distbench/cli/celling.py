"""`cell`: one job of a prepared run, as a cluster's scheduler starts it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table

from distbench.cli.output import err, out, print_json
from distbench.errors import ExitCode, RunError, UsageError
from distbench.execute.reporter import TerminalReporter
from distbench.execute.run import Runner
from distbench.executors.local import LocalExecutor
from distbench.schedulers.planned import (
    cells_by_id,
    cells_by_number,
    check_surroundings,
    planned_cells,
)
from distbench.schedulers.stages import Cell, stages_of
from distbench.schema.plan import Manifest
from distbench.store.cache import Cache
from distbench.store.claims import LEASE, Holder
from distbench.store.hold import hold_cells
from distbench.store.run_dir import RunDir


@dataclass(frozen=True)
class Which:
    """The cells that the command line names: by id, or by a job's number."""

    ids: Sequence[str] = ()
    index: int | None = None
    stage: str | None = None
    chunk: int = 1

    def check(self) -> None:
        """Raise UsageError where it names nothing, or two things."""
        if self.ids and (self.index is not None or self.stage is not None):
            raise UsageError("give --id, or --index with its --stage; not both")
        if not self.ids and self.index is None:
            raise UsageError("name what to run: --id ID, or --index N with or without --stage S; --list shows both")

    def cells(self, run: RunDir, manifest: Manifest) -> list[Cell]:
        """Return the cells."""
        self.check()
        if self.ids:
            return cells_by_id(run, manifest, self.ids)
        assert self.index is not None, "checked above"
        return cells_by_number(planned_cells(run, manifest), self.stage, self.index, self.chunk)


def run_cell(path: Path, which: Which, *, quiet: bool) -> ExitCode:
    """Run a job of a prepared run as `run` would, beside others; finished cells are not run again."""
    run, manifest = planned_run(path)
    cells = which.cells(run, manifest)
    if _finished(run, cells):
        return ExitCode.OK
    check_surroundings(manifest, cells)
    with hold_cells(path, [cell.id for cell in cells], _say_wait):
        if _finished(run, cells):  # by the one that had it a moment ago
            return ExitCode.OK
        _check_needs(run, cells)
        with TerminalReporter(err(), quiet=quiet) as reporter:
            executor, limits = LocalExecutor(run.path), manifest.suite.limits
            runner = Runner(cells, run, Cache(), executor, reporter, limits=limits)
            runner.state.done |= {need for cell in cells for need in cell.needs} - {cell.id for cell in cells}
            state = runner.execute()
    return state.exit_code


def list_jobs(path: Path, chunk: int, *, as_json: bool) -> None:
    """Print the jobs of every stage, with their numbers."""
    run, manifest = planned_run(path)
    rows = [
        {"stage": stage.name, "index": index, "id": cell.id, "title": cell.title, "finished": run.is_done(cell.id)}
        for stage in stages_of(planned_cells(run, manifest), chunk)
        for index, job in enumerate(stage.jobs)
        for cell in job
    ]
    if as_json:
        print_json({"run": manifest.run, "jobs": rows})
        return
    table = Table(box=None, pad_edge=False)
    for name in ("stage", "index", "id", "what", "finished"):
        table.add_column(name)
    for row in rows:
        table.add_row(str(row["stage"]), str(row["index"]), str(row["id"]), str(row["title"]),
                      "yes" if row["finished"] else "no")  # fmt: skip
    out().print(table)


def planned_run(path: Path) -> tuple[RunDir, Manifest]:
    """Open a run that was planned here."""
    run = RunDir.existing(path)
    manifest = run.manifest()
    if manifest.imported:
        raise UsageError(f"{path} was imported from {manifest.imported} output; there is nothing to run in it")
    return run, manifest


def _finished(run: RunDir, cells: Sequence[Cell]) -> bool:
    if not all(run.is_done(cell.id) for cell in cells):
        return False
    for cell in cells:
        err().print(f"finished already: {cell.title}", markup=False, soft_wrap=True)
    return True


def _check_needs(run: RunDir, cells: Sequence[Cell]) -> None:
    """Raise RunError, and keep it as the cell's failure, where what it needs is not there."""
    own = {cell.id for cell in cells}
    for cell in cells:
        for need in cell.needs:
            if need not in own and not run.is_done(need):
                why = "failed" if run.last_failure(need) else "is not done; its job comes first"
                message = f"needs '{run.cell(need).title}', which {why}"
                run.fail(cell.id, {"message": message, "title": cell.title})
                run.log("failed", cell=cell.id, message=message)
                raise RunError(f"'{cell.title}' {message}")


def _say_wait(holder: Holder) -> None:
    err().print(
        f"{holder} has this cell, or was killed at it: waiting up to {LEASE:.0f} s for a sign of life",
        markup=False, soft_wrap=True,
    )  # fmt: skip
