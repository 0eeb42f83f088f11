"""Whose processes compute on a GPU: this measurement's own, or somebody else's."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

PROBE = "distbench.cell.probe"
INITIAL = "pid:[4026531836]"  # Linux' first namespace of process ids (include/linux/proc_ns.h, PROC_PID_INIT_INO)
NAMESPACE = Path("/proc/self/ns/pid")


def family() -> set[int]:
    """Return this process, its descendants, and the other models of this measurement: they wait while one works."""
    me = psutil.Process()
    found = {me.pid, *(child.pid for child in me.children(recursive=True))}
    parent = me.parent()
    for sibling in parent.children() if parent is not None else ():
        with suppress(psutil.Error):  # it may have ended
            if PROBE in sibling.cmdline():
                found.add(sibling.pid)
    return found


def strangers(listed: Sequence[int], own: Collection[int], numbered_alike: bool) -> tuple[int, str]:
    """Return how many of the `listed` processes are surely foreign, and a sentence on how that is known.

    numbered_alike: the driver's process ids are those that this process sees. In a container they are not; then only
    their number can be judged.
    """
    if numbered_alike:
        foreign = [pid for pid in listed if pid not in own]
        return len(foreign), f"process {', '.join(map(str, foreign))}" if foreign else "own processes only"
    extra = max(0, len(listed) - len(own))
    words = f"{len(listed)} processes compute there, {len(own)} belong to this measurement"
    return extra, words + "; a container hides which"


def numbers_alike(listed: Sequence[int]) -> bool:
    """Say whether the driver's process ids mean here what they mean to it."""
    if os.getpid() in listed:
        return True
    try:
        return os.readlink(NAMESPACE) == INITIAL  # noqa: PTH115 - pathlib would make a path of what is a label
    except OSError:
        return True  # no namespaces on this system
