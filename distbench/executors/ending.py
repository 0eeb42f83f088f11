"""End a worker with everything it started: its process group, and children that have left the group (torchrun's)."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterable

import psutil

GRACE_SECONDS = 4.0  # after TERM, and again after KILL: both together stay below ten seconds
LOOK = 0.002, 0.02  # seconds between two looks: the first, and the longest; what is dying needs some milliseconds
_at_work: set[int] = set()  # process groups of this process's workers


def began(group: int) -> None:
    """Note that a worker leads this process group."""
    _at_work.add(group)


def family(pid: int) -> list[psutil.Process]:
    """Return a process and its descendants, whatever group or session they are in; empty where it is gone."""
    try:
        leader = psutil.Process(pid)
        return [leader, *leader.children(recursive=True)]
    except psutil.Error:
        return []


def end(group: int, reap: Callable[[], object] = lambda: None, *, grace: float = GRACE_SECONDS) -> None:
    """End a worker's group and its descendants: TERM, a grace period, then KILL. `reap` collects a dead leader."""
    members = family(group)
    for sign in (signal.SIGTERM, signal.SIGKILL) if grace else (signal.SIGKILL,):
        _send(group, members, sign)
        deadline, look = time.monotonic() + (grace or GRACE_SECONDS), LOOK[0]
        while time.monotonic() < deadline:
            reap()
            if not _group_lives(group) and not any(_lives(each) for each in members[1:]):
                _at_work.discard(group)
                return
            time.sleep(look)
            look = min(2 * look, LOOK[1])
        members += [each for each in family(group) if each not in members]
    _at_work.discard(group)


def end_all_now() -> None:
    """KILL every worker of this process at once: somebody asked a second time."""
    for group in list(_at_work):
        _send(group, family(group), signal.SIGKILL)


def _send(group: int, members: Iterable[psutil.Process], sign: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, sign)
    for each in members:
        with contextlib.suppress(psutil.Error):
            if _left(each.pid, group):
                each.send_signal(sign)


def _lives(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _group_lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    return any(_lives_in(group, pid) for pid in psutil.pids())  # else only dead ones that nobody has collected yet


def _lives_in(group: int, pid: int) -> bool:
    try:
        return os.getpgid(pid) == group and _lives(psutil.Process(pid))
    except (OSError, psutil.Error):
        return False


def _left(pid: int, group: int) -> bool:
    """Say whether a process is in another group than the worker that it descends from."""
    try:
        return os.getpgid(pid) != group
    except ProcessLookupError:
        return False
