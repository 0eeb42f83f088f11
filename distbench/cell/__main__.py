"""The worker: `python -m distbench.cell --run DIR --id ID [--id ID …]`.

Several ids of one model share one loaded model; each is committed on its own, so a kill loses only the one at work.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from distbench import secrets
from distbench.cell.commit import run_and_commit
from distbench.cell.evaluate import evaluate
from distbench.cell.events import Events, die_with_parent
from distbench.cell.make import learn, make
from distbench.cell.opened import open_model
from distbench.errors import DistbenchError, ExitCode, RunError
from distbench.meters.out_of_memory import is_out_of_memory, out_of_memory
from distbench.meters.process_memory import reset_high_water
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.store.run_dir import RunDir
from distbench.training.processes import Processes

SECONDS_TO_BE_ENDED = 3.0


class Worker:
    """Runs cells one after the other; keeps the last evaluated model loaded."""

    def __init__(self, run: RunDir, events: Events, processes: Processes) -> None:
        self.run, self.events, self.processes = run, events, processes
        self._identity: str | None = None
        self._model: Any = None

    def do(self, cell_id: str) -> bool:
        """Run one cell; report a failure instead of raising it."""
        cell = self.run.cell(cell_id)
        self.events.send("started", cell=cell_id)
        reset_high_water()  # the record's peak memory is this cell's own
        try:
            _check_needs(cell, self.run)
            self.processes.check(cell.train.launch if isinstance(cell, MakeCell) and cell.train else None)
            if not self.processes.leads:
                assert isinstance(cell, MakeCell)
                learn(cell, self.run, lambda *_: None)
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
            message = out_of_memory(error) if is_out_of_memory(error) else f"{type(error).__name__}: {text}"
            self.events.send(
                "failed", cell=cell_id, message=secrets.text(message)[:500], exit_code=int(ExitCode.RUN_FAILED)
            )
            return False
        self.events.send("committed", cell=cell_id)
        return True

    def _work(self, cell: MakeCell | EvaluateCell | MeasureCell, folder: Path) -> Any:
        def progress(done: int, total: int, what: str) -> None:
            self.events.progress(cell.id, done, total, what)

        if isinstance(cell, MakeCell):
            return make(cell, self.run, folder, progress)
        if isinstance(cell, MeasureCell):
            from distbench.cell.measure import measure  # it brings scipy, which making a model does without

            return measure(cell, self.run, progress)
        if self._identity != cell.model.identity:
            self._model = None  # free the last one before the next is loaded
            self._model = open_model(cell.model, self.run, cell.settings)
            self._identity = cell.model.identity
        beside = open_model(cell.reference, self.run, cell.settings) if cell.reference else None
        return evaluate(cell, self._model, folder, progress, beside)


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
    parser = argparse.ArgumentParser(prog="python -m distbench.cell")
    parser.add_argument("--run", required=True, type=Path)
    parser.add_argument("--id", required=True, action="append", dest="ids")
    arguments = parser.parse_args()
    processes = Processes.here()
    worker = Worker(RunDir(arguments.run), Events(follows=not processes.leads), processes)
    done = [worker.do(cell_id) for cell_id in arguments.ids]
    return ExitCode.OK if all(done) else ExitCode.RUN_FAILED


if __name__ == "__main__":
    sys.exit(main())
