"""How a worker talks to its parent: one JSON object a line on what was standard output; everything else is log."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from typing import Any

from distbench.host import PARENT

PR_SET_PDEATHSIG = 1


class Events:
    """Takes the process's standard output for events and points file descriptor 1 at the log (standard error).

    Of several processes that train together the first tells what happens; of the others only a failure is heard.
    """

    def __init__(self, *, follows: bool = False) -> None:
        self._follows = follows
        self._pipe = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8")
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        self._last = 0.0

    def send(self, event: str, **fields: Any) -> None:
        """Send one event. A parent that is gone is not an error of ours."""
        if self._follows and event != "failed":
            return
        with contextlib.suppress(BrokenPipeError, ValueError):
            self._pipe.write(json.dumps({"event": event, **fields}) + "\n")
            self._pipe.flush()

    def progress(self, cell: str, done: int, total: int, what: str) -> None:
        """Send progress, at most ten times a second, and always the last."""
        moment = time.monotonic()
        if done >= total or moment - self._last > 0.1:
            self._last = moment
            self.send("progress", cell=cell, done=done, total=total, what=what)


def die_with_parent() -> None:
    """Ask the kernel (Linux) to kill this process when its parent dies, so that a SIGKILL leaves no orphan."""
    if not sys.platform.startswith("linux"):
        return
    parent = int(os.environ.pop(PARENT, 0)) or os.getppid()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we asked, maybe while we imported our libraries
        os._exit(1)
