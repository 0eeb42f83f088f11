"""What this machine has for cells: memory, the accelerators' memory, and free disk where results and the cache lie."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import psutil

from distbench.meters.headroom import CGROUP, Headroom
from distbench.meters.nvml import visible_gpus
from distbench.store.cache import Cache


@dataclass(frozen=True)
class Machine:
    """Bytes. `memory`: all of it with its swap, under a container's limit; None: not known."""

    memory: int
    free_memory: int
    disk: int | None
    cache_disk: int | None  # None: the cache is on the disk of the results, or its disk is not known
    devices: dict[str, int]

    def device(self, name: str) -> int | None:
        """Return the memory of a device; None where it is not here, or its driver does not say."""
        return self.devices.get(name) or None


def this_machine(out: Path, cache: Cache) -> Machine:
    """Look at the machine. `out`: where results will lie."""
    gpus, _ = visible_gpus()
    there, cached = _existing(out), _existing(cache.root)
    same = there is not None and cached is not None and there.stat().st_dev == cached.stat().st_dev
    return Machine(
        memory=_limited(psutil.virtual_memory().total + psutil.swap_memory().total),
        free_memory=Headroom().free(),
        disk=_free(there),
        cache_disk=None if same else _free(cached),
        devices={f"cuda:{gpu.index}": gpu.memory_bytes for gpu in gpus},
    )


def _limited(total: int) -> int:
    """Return the smaller of the machine's memory and a container's limit."""
    try:
        return min(total, int((CGROUP / "memory.max").read_text(encoding="ascii")))
    except (OSError, ValueError):  # "max": no limit
        return total


def _existing(path: Path) -> Path | None:
    """Return the nearest folder of a path that exists."""
    return next((each for each in (path.absolute(), *path.absolute().parents) if each.exists()), None)


def _free(path: Path | None) -> int | None:
    try:
        return shutil.disk_usage(path).free if path is not None else None
    except OSError:
        return None
