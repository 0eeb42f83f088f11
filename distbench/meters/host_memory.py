"""How much memory there is for a process, and whether the kernel has ended one for the lack of it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

CGROUP = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
GIB = 2**30
UNLIMITED = 1 << 60  # cgroup v1 writes a number near 2^63 for no limit


@dataclass(frozen=True)
class Died:
    """What is known of a process that was ended by SIGKILL. `peak` in bytes; None: not known."""

    peak: int | None
    total: int
    counted: bool  # the kernel's counter of processes that it ended for a lack of memory went up

    def words(self) -> str:
        """Say it in words."""
        seen = f"peak {self.peak / GIB:.1f} of {self.total / GIB:.1f} GiB" if self.peak else "peak not known"
        return f"killed by signal 9, {'' if self.counted else 'likely '}out of memory ({seen})"


def total_bytes() -> int:
    """Return the memory that processes here can have: the machine's, or less where a container is limited."""
    limits = [_number(folder / name) for folder in _folders() for name in ("memory.max", "memory.limit_in_bytes")]
    given = [limit for limit in limits if limit is not None and limit < UNLIMITED]
    return min([int(psutil.virtual_memory().total), *given])


def killed_for_memory() -> int | None:
    """Return how many processes of this container the kernel has ended for a lack of memory; None: it does not say."""
    for folder in _folders():
        for name in ("memory.events", "memory.oom_control"):
            try:
                lines = (folder / name).read_text(encoding="ascii").splitlines()
            except OSError:
                continue
            for line in lines:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
    return None


def peak_of(maxrss: int) -> int:
    """Return the bytes of `ru_maxrss`, which is in KiB on Linux and in bytes on macOS."""
    return maxrss * (1 if sys.platform == "darwin" else 1024)


def _folders() -> list[Path]:
    """Return where this process's control group, and those above it, have their files (versions 1 and 2)."""
    try:
        lines = OWN.read_text(encoding="ascii").splitlines()
    except OSError:
        return []
    found: list[Path] = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root = CGROUP / "memory" if controllers else CGROUP
        parts = [part for part in Path(path).parts if part != "/"]
        found += [root.joinpath(*parts[:depth]) for depth in range(len(parts), -1, -1)]
    return found


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):  # "max": no limit
        return None
