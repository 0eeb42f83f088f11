"""Run workers on this machine, one after the other, each in a fresh interpreter and a process group of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from distbench.executors import ending, logs
from distbench.executors.environment import child_environment
from distbench.executors.job import Ended, Event, Job
from distbench.executors.watch import Watch
from distbench.host import PARENT
from distbench.meters import host_memory as memory


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
                env=child_environment(max(1, job.threads // job.processes), wanted=job.variables) | _parent(),
                start_new_session=True,
            )  # fmt: skip
            self._child = child
            ending.began(child.pid)
            killed_before = memory.killed_for_memory()
            try:
                with Watch(child.pid, job.limits, on_event) as watch:
                    assert child.stdout is not None
                    for line in child.stdout:  # blocks: a parent that polls slows what it measures
                        with contextlib.suppress(ValueError):
                            event = json.loads(line)
                            watch.heard(event)
                            on_event(event)
                    code, peak = _reap(child)
            finally:
                self.stop()
                logs.clean(log_path)
        why = watch.ended or _for_memory(code, max(peak, watch.peak), killed_before)
        return Ended(code, logs.tail(log_path), why=why)

    def cancel(self, jobs: Sequence[Job]) -> None:
        """Do nothing: the one job that was at work has ended with the exception that left `wait`."""

    def stop(self) -> None:
        """End the worker and everything it started: TERM, a grace period, then KILL."""
        child, self._child = self._child, None
        if child is not None:
            ending.end(child.pid, child.poll)


def _parent() -> dict[str, str]:
    """Tell a worker with whom it ends: asked late, after its imports, the system may only know who adopted it."""
    return {PARENT: str(os.getpid())}


def _prefix(processes: int) -> list[str]:
    """Return what starts a module once, or several times: torchrun, on this machine."""
    if processes == 1:
        return ["-m"]
    counts = ["--nproc-per-node", str(processes), "--max-restarts", "0", "--standalone"]
    return ["-m", "distbench.cell.torchrun", *counts, "-m", "--"]  # else it takes --run for an option of its own


def _reap(child: subprocess.Popen[str]) -> tuple[int, int]:
    """Wait for a worker; return its exit code and the peak in bytes of it or of any child that it has waited for."""
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, memory.peak_of(usage.ru_maxrss)


def _for_memory(code: int, peak: int, killed_before: int | None) -> str | None:
    """Say how a worker died that the system killed; None for another end."""
    if code != -signal.SIGKILL:
        return None
    now = memory.killed_for_memory()
    counted = now is not None and killed_before is not None and now > killed_before
    return memory.Died(peak, memory.total_bytes(), counted).words()
