"""Run workers on this machine, one after the other, each in a fresh interpreter and a process group of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distbench.executors import logs
from distbench.executors.environment import child_environment
from distbench.executors.job import Ended, Event, Job

GRACE_SECONDS = 5.0


class LocalExecutor:
    """Starts `python -m distbench.cell` and passes its events on."""

    slots = 1
    retries = 0  # a worker that is killed here was at fault, as far as anybody can tell

    def __init__(self, run: Path) -> None:
        self.run = run
        self._child: subprocess.Popen[str] | None = None
        self._next: Job | None = None

    def submit(self, job: Job) -> None:
        """Take the job that `wait` will run."""
        assert self._next is None, "one after the other"
        self._next = job

    def wait(self, on_event: Callable[[Job, Event], None]) -> tuple[Job, Ended]:
        """Run the submitted job to its end."""
        job, self._next = self._next, None
        assert job is not None, "nothing was submitted"
        return job, self.execute(job, lambda event: on_event(job, event))

    def execute(self, job: Job, on_event: Callable[[dict[str, Any]], None]) -> Ended:
        """Run one job to its end. An exception in here (Ctrl-C) ends the whole process group of the worker."""
        log_path = self.run / "logs" / f"{job.ids[0]}.log"
        command = [sys.executable, *_prefix(job.processes), "distbench.cell", "--run", str(self.run)]
        command += [word for cell_id in job.ids for word in ("--id", cell_id)]
        with log_path.open("ab") as log:
            child = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
                env=child_environment(max(1, job.threads // job.processes), wanted=job.variables),
                start_new_session=True,
            )  # fmt: skip
            self._child = child
            try:
                assert child.stdout is not None
                for line in child.stdout:  # blocks: a parent that polls slows what it measures
                    with contextlib.suppress(ValueError):
                        on_event(json.loads(line))
                code = child.wait()
            finally:
                self.stop()
                logs.clean(log_path)
        return Ended(code, logs.tail(log_path))

    def stop(self) -> None:
        """End the worker and everything it started: TERM, a grace period, then KILL."""
        child = self._child
        if child is None:
            return
        for sign, patience in ((signal.SIGTERM, GRACE_SECONDS), (signal.SIGKILL, GRACE_SECONDS)):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, sign)
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                if child.poll() is not None and not _group_alive(child.pid):
                    break
                time.sleep(0.02)
            else:
                continue
            break
        self._child = None


def _prefix(processes: int) -> list[str]:
    """Return what starts a module once, or several times: torchrun, on this machine."""
    if processes == 1:
        return ["-m"]
    counts = ["--nproc-per-node", str(processes), "--max-restarts", "0", "--standalone"]
    return ["-m", "distbench.cell.torchrun", *counts, "-m", "--"]  # else it takes --run for an option of its own


def _group_alive(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return True
