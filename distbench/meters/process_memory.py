"""This process's memory: the kernel's exact high-water mark where there is one, else polled; the label says which."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Protocol, Self

import psutil

STATUS = Path("/proc/self/status")
CLEAR_REFS = Path("/proc/self/clear_refs")
POLL_SECONDS = 0.005
EXACT = "VmHWM of /proc/self/status, exact"
POLLED = f"psutil polled every {POLL_SECONDS * 1e3:.0f} ms, misses shorter spikes"


def status_bytes(field: str) -> int | None:
    """Return a `kB` field of /proc/self/status (VmHWM, VmRSS, RssAnon, …) in bytes; None where there is none."""
    try:
        for line in STATUS.read_text(encoding="ascii").splitlines():
            if line.startswith(field + ":"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def reset_high_water() -> bool:
    """Set VmHWM back to the present size (Linux: write 5 to clear_refs); False where the kernel does not allow it."""
    try:
        CLEAR_REFS.write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def resident_bytes() -> int:
    """Return the bytes of physical memory that this process holds at the moment."""
    return status_bytes("VmRSS") or int(psutil.Process().memory_info().rss)


def unique_bytes() -> int | None:
    """Return the unique set size: what would become free if this process ended. None: the system does not tell."""
    try:
        return int(psutil.Process().memory_full_info().uss)
    except (psutil.Error, OSError, AttributeError):
        return None


def has_high_water() -> bool:
    """Say whether the kernel keeps a mark that can be reset (Linux)."""
    return status_bytes("VmHWM") is not None and os.access(CLEAR_REFS, os.W_OK)


def peak_method() -> str:
    """Say in words how a peak is read on this machine."""
    return EXACT if has_high_water() else POLLED


class Watch(Protocol):
    """The largest resident size since `restart`, in bytes. A context manager: a polling one has a thread to end."""

    method: str

    def restart(self) -> None:
        """Forget the past: from now on."""
        ...

    def peak(self) -> int:
        """Return the largest size so far."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *raised: object) -> None: ...


def watching() -> Watch:
    """Return the best watch that this machine offers; it begins where it is entered."""
    return HighWater() if has_high_water() else Polled()


class HighWater:
    """The kernel's own mark: no spike is too short. `ru_maxrss` is another one, which survives exec."""

    method = EXACT

    def restart(self) -> None:
        """Set the mark back to the present size."""
        if not reset_high_water():
            raise OSError(f"{CLEAR_REFS} took no write, although it is writable")

    def peak(self) -> int:
        """Return the mark."""
        mark = status_bytes("VmHWM")
        if mark is None:
            raise OSError(f"{STATUS} has no VmHWM any more")
        return mark

    def __enter__(self) -> Self:
        self.restart()
        return self

    def __exit__(self, *raised: object) -> None:
        """Nothing to end: the kernel keeps the mark anyway."""


class Polled:
    """A thread that looks at the size again and again; it takes a little time from what it watches."""

    method = POLLED

    def __init__(self, seconds: float = POLL_SECONDS) -> None:
        self._seconds, self._most = seconds, 0
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._poll, daemon=True)

    def restart(self) -> None:
        """Forget what was seen."""
        self._most = 0

    def peak(self) -> int:
        """Return the largest size seen; the present one is looked at too."""
        self._look()
        return self._most

    def _look(self) -> None:
        self._most = max(self._most, resident_bytes())

    def _poll(self) -> None:
        while not self._end.wait(self._seconds):
            self._look()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._end.set()
        self._thread.join()
