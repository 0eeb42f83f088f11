"""The worker: `python -m distbench.cell --run DIR --id ID [--id ID …]`.

Several ids of one model share one loaded model; each is committed on its own, so a kill loses only the one at work.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distbench import secrets
from distbench.cell.commit import run_and_commit
from distbench.cell.evaluate import evaluate
from distbench.cell.events import Events, die_with_parent
from distbench.cell.keeper import keep_group
from distbench.cell.make import learn, less_memory, make
from distbench.cell.opened import open_model
from distbench.errors import DistbenchError, ExitCode, RunError, is_out_of_memory
from distbench.meters.out_of_memory import out_of_memory
from distbench.meters.process_memory import reset_high_water
from distbench.protocols.batches import batches_may_shrink
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, Settings
from distbench.schema.record import BatchHalved, EvaluateResult
from distbench.store.cache import keep_beside
from distbench.store.leftovers import temporary_folder
from distbench.store.run_dir import RunDir
from distbench.training.checkpoints import Pulse
from distbench.training.processes import Processes, processes_of

SECONDS_TO_BE_ENDED = 3.0


class Worker:
    """Runs cells one after the other; keeps the last evaluated model loaded."""

    def __init__(self, run: RunDir, events: Events, processes: Processes) -> None:
        self.run, self.events, self.processes = run, events, processes
        self._identity: str | None = None
        self._together, self._joined = contextlib.ExitStack(), False
        self._model: Any = None

    def do(self, cell_id: str) -> bool:
        """Run one cell; report a failure instead of raising it."""
        cell = self.run.cell(cell_id)
        self.events.send("started", cell=cell_id)
        reset_high_water()  # the record's peak memory is this cell's own
        try:
            _check_needs(cell, self.run)
            self.processes.check_count(processes_of(cell))
            if not self.processes.leads:
                self._follow(cell)
                return True
            run_and_commit(cell, self.run, lambda folder: self._work(cell, folder))
        except DistbenchError as error:
            _log_traceback()
            self.events.send("failed", cell=cell_id, message=secrets.text(str(error)), exit_code=int(error.exit_code))
            return False
        except Exception as error:  # noqa: BLE001 - a plug-in may raise anything; the other cells go on
            _log_traceback()
            if self.processes.count > 1:  # where another process died, this one is ended, and says nothing
                time.sleep(SECONDS_TO_BE_ENDED)
            text = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
            message = f"{type(error).__name__}: {text}"
            if is_out_of_memory(error):
                message = out_of_memory(error) + less_memory(cell)
            self.events.send(
                "failed", cell=cell_id, message=secrets.text(message)[:500], exit_code=int(ExitCode.RUN_FAILED)
            )
            return False
        self.events.send("committed", cell=cell_id)
        return True

    def _follow(self, cell: MakeCell | EvaluateCell | MeasureCell) -> None:
        """Do this process's part. The first one writes what comes of it."""
        if isinstance(cell, MakeCell):
            learn(cell, self.run, lambda *_: None)
            return
        with temporary_folder("follower") as folder:
            self._work(cell, folder)

    def _work(self, cell: MakeCell | EvaluateCell | MeasureCell, folder: Path) -> Any:
        pulse = Pulse(self.run.scratch(cell.id))

        def progress(done: int, total: int, what: str) -> None:
            self.events.progress(cell.id, done, total, what)
            if what.startswith("training"):
                pulse.reached(done)

        if isinstance(cell, MakeCell):
            return make(cell, self.run, folder, progress)
        if isinstance(cell, MeasureCell):
            from distbench.cell.measure import measure  # it brings scipy, which making a model does without

            return measure(cell, self.run, progress)
        if self.processes.count > 1:
            cell = cell.model_copy(update={"settings": self.processes.own(cell.settings)})
            self._join(cell.settings)
        if self._identity != cell.model.identity:
            self._model = None  # free the last one before the next is loaded
            self._model = open_model(cell.model, self.run, cell.settings)
            self._identity = cell.model.identity
        if hasattr(self._model, "keep"):
            self._model.keep(self.run.scratch(cell.id))
        beside = open_model(cell.reference, self.run, cell.settings) if cell.reference else None
        return self._evaluated(cell, lambda: evaluate(cell, self._model, folder, progress, beside))

    def _evaluated(self, cell: EvaluateCell, ask: Callable[[], EvaluateResult]) -> EvaluateResult:
        """Evaluate; where memory ends the batch is halved, which is said at once and stands in the record."""
        if self.processes.count > 1:  # the others would go on with the whole batch, and wait for this one
            return ask()

        def say(half: BatchHalved) -> None:
            message = f"memory ended at {half.before} {half.unit} at once; it goes on with {half.after}"
            print(f"{message} ({half.reason})", file=sys.stderr)  # noqa: T201 - the worker's log
            self.events.send("halved", cell=cell.id, message=message)

        with batches_may_shrink(lambda error: secrets.text(out_of_memory(error)), say) as halved:
            result = ask()
        return result.model_copy(update={"batch_halved": halved})

    def _join(self, settings: Settings) -> None:
        """Join the processes that hold the model with this one, once: it stays loaded from cell to cell."""
        if not self._joined:
            self._together.enter_context(self.processes.together(settings))
            self._joined = True

    def part(self) -> None:
        """Part from the other processes, where all went well; else they are ended, not waited for."""
        self._together.close()


def _log_traceback() -> None:
    """Print the traceback without secrets: the messages of libraries quote URLs and headers."""
    print(secrets.text(traceback.format_exc()), file=sys.stderr)  # noqa: T201 - standard error is the worker's log


def _check_needs(cell: MakeCell | EvaluateCell | MeasureCell, run: RunDir) -> None:
    for need in cell.needs:
        if not (run.cells / need).is_dir():
            raise RunError(f"needs '{run.cell(need).title}', which failed")


def main() -> int:
    """Run the named cells; 0 when all were committed."""
    die_with_parent()
    keep_group()
    parser = argparse.ArgumentParser(prog="python -m distbench.cell")
    parser.add_argument("--run", required=True, type=Path)
    parser.add_argument("--id", required=True, action="append", dest="ids")
    arguments = parser.parse_args()
    processes = Processes.here()
    keep_beside(arguments.run / "scratch" / "cache")
    worker = Worker(RunDir(arguments.run), Events(follows=not processes.leads), processes)
    done: list[bool] = []
    for cell_id in arguments.ids:
        done.append(worker.do(cell_id))
        if not done[-1] and processes.count > 1:
            return ExitCode.RUN_FAILED  # the others may be elsewhere in it: the next cell begins with new processes
    worker.part()
    return ExitCode.OK if all(done) else ExitCode.RUN_FAILED


if __name__ == "__main__":
    exit_code = main()
    gc.freeze()  # else all of torch is searched for garbage once more at the end: a fifth of a small cell's CPU time
    sys.exit(exit_code)
