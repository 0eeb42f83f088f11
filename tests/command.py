"""The command line of distbench, for tests: in a process of its own, as users have it, or in this one.

Every cell is a fresh interpreter that imports torch and transformers, which takes most of the time of a small run.
`here` runs command and cells in the test's own process: for what is made, asked and said. What is about processes
(kills, signals, memory, environment, measurements) belongs to `distbench`.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from distbench.executors.job import Ended, Job
from distbench.executors.local import LocalExecutor


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it said."""

    returncode: int
    stdout: str
    stderr: str


def distbench(
    folder: Path, *arguments: str, check: int | None = None, timeout: float = 560, **environment: str
) -> Done:
    """Run a command in `folder`, in a process of its own; `check` is the exit code that it must have."""
    done = subprocess.run(
        [sys.executable, "-m", "distbench", *arguments], cwd=folder, env=os.environ | environment,
        capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    return _checked(Done(done.returncode, done.stdout, done.stderr), check)


def here(folder: Path, *arguments: str, check: int | None = None, **environment: str) -> Done:
    """Run a command in `folder`, and its cells, in this process; processes that train together remain their own."""
    from distbench.cli import main

    said, told, code = io.StringIO(), io.StringIO(), 0
    heard = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(told),
        mock.patch.object(sys, "argv", ["distbench", *arguments]),
        mock.patch.dict(os.environ, environment),
        mock.patch("distbench.executors.local_engine.LocalExecutor", Here),
        mock.patch("distbench.cli.celling.LocalExecutor", Here),
    ):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
        finally:
            for number, handler in heard.items():
                signal.signal(number, handler)
    return _checked(Done(code, said.getvalue(), told.getvalue()), check)


def _checked(done: Done, code: int | None) -> Done:
    assert code is None or done.returncode == code, done.stderr
    return done


class Here(LocalExecutor):
    """Runs the cells of a job in this process; what they print goes to the job's log, as always."""

    def execute(self, job: Job, on_event: Callable[[dict[str, Any]], None]) -> Ended:
        """Run one job to its end."""
        if job.processes > 1:
            return super().execute(job, on_event)
        from distbench.cell.__main__ import Worker
        from distbench.cell.events import Events
        from distbench.store.run_dir import RunDir
        from distbench.training.processes import Processes

        class Heard(Events):
            def __init__(self) -> None:
                self._last = 0.0

            def send(self, event: str, **fields: Any) -> None:
                on_event({"event": event, **fields})

        log = io.StringIO()
        with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
            worker = Worker(RunDir(self.run), Heard(), Processes())
            codes = [worker.do(cell) for cell in job.ids]
        with (self.run / "logs" / f"{job.ids[0]}.log").open("a", encoding="utf-8") as file:
            file.write(log.getvalue())
        return Ended(0 if all(codes) else 4, log.getvalue()[-2000:])
