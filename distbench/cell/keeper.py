"""A worker's children end with it, however it ends: a tiny process waits for its end and then kills its group.

What a worker starts (a converter, a server that a plug-in needs) would outlive a worker that is killed by SIGKILL.
The kernel ends a worker with its parent; this ends the rest. A child that leads a session of its own is out of reach.
"""

from __future__ import annotations

import contextlib
import os
import signal
from typing import NoReturn


def keep_group() -> None:
    """Fork the keeper, where this process leads a group. Call it before threads exist and libraries are imported."""
    if os.getpgrp() != os.getpid():  # started by hand: the group is the shell's
        return
    reading, writing = os.pipe()  # children that are programs of their own do not inherit it
    if os.fork() == 0:
        os.close(writing)
        _keep(reading, os.getpgrp())
    os.close(reading)


def _keep(reading: int, group: int) -> NoReturn:
    """Wait until nobody holds the other end any more, then end the group, this process with it."""
    for sign in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(sign, signal.SIG_IGN)  # it goes last
    for descriptor in (0, 1, 2):  # so that a pipe of the worker's is not held open by this
        with contextlib.suppress(OSError):
            os.close(descriptor)
    while os.read(reading, 1):
        pass
    os.killpg(group, signal.SIGKILL)
    os._exit(0)
