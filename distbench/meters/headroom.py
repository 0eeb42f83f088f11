"""Would the next batch still fit into the host's memory? Linux kills a process that asks for too much, without a word.

The need is extrapolated from the peaks of the batches before: what is added by twice the batch is twice what the last
doubling added, at least. Where a number is missing nothing is forecast.
"""

from __future__ import annotations

from pathlib import Path

import psutil

from distbench.meters.process_memory import status_bytes

CGROUP = Path("/sys/fs/cgroup")
GIB = 2**30
SPARE = 0.05  # of what is free stays free: other programs live here too


class Headroom:
    """Peaks of this process after each batch, and what is free."""

    def __init__(self) -> None:
        self._peaks: dict[int, int] = {}

    def peak(self) -> int | None:
        """Return the high-water mark of this process (bytes)."""
        return status_bytes("VmHWM")

    def held(self) -> int | None:
        """Return what this process holds at the moment (bytes)."""
        return status_bytes("VmRSS")

    def free(self) -> int:
        """Return the bytes that can still be had here, under the limit of a container if there is one."""
        limit, used = _number(CGROUP / "memory.max"), _number(CGROUP / "memory.current")
        cached = _statistic(CGROUP / "memory.stat", "inactive_file")
        host = int(psutil.virtual_memory().available)
        return host if limit is None or used is None else min(host, max(0, limit - used + cached))

    def note(self, batch: int) -> None:
        """Remember the peak after `batch` was done."""
        peak = self.peak()
        if peak is not None:
            self._peaks[batch] = peak

    def too_small_for(self, batch: int) -> str | None:
        """Say why `batch` would not fit, or None where it should, or where nothing can be told."""
        last, before = self._peaks.get(batch // 2), self._peaks.get(batch // 4)
        held = self.held()
        if last is None or before is None or held is None:
            return None
        need = last + 2 * (last - before) - held
        free = self.free() * (1 - SPARE)
        if need <= free:
            return None
        return f"batch {batch} would need about {need / GIB:.2f} GiB more and {free / GIB:.2f} GiB are free: not tried"


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max": no limit
        return None


def _statistic(path: Path, name: str) -> int:
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(name + " ")), 0)
