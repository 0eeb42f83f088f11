"""Which device and dtype a run uses. `auto` chooses and says why; a named device is used or refused, never replaced."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from distbench.errors import EnvironmentFault
from distbench.host import default_threads
from distbench.meters.nvml import visible_gpus
from distbench.schema.cell import Settings
from distbench.schema.suite import Suite


@dataclass(frozen=True)
class Chosen:
    """The settings of every cell, and why this device."""

    settings: Settings
    reason: str


def _torch_has_cuda() -> bool:
    try:
        return not metadata.version("torch").endswith("+cpu")
    except metadata.PackageNotFoundError:
        return False


def choose(suite: Suite, device: str | None = None) -> Chosen:
    """Return the settings of a run.

    Raises EnvironmentFault where a named CUDA device does not exist or this torch build cannot use it.
    """
    wanted = device or suite.device
    name, reason = wanted, f"device {wanted} was asked for"
    if wanted != "cpu":
        gpus, found = visible_gpus()
        if wanted == "auto":
            usable = bool(gpus) and _torch_has_cuda()
            name = "cuda:0" if usable else "cpu"
            reason = f"auto: {found}" if usable or not gpus else f"auto: {found}, but this torch is a CPU-only build"
        else:
            name = _named(wanted, len(gpus), found)
    dtype = suite.dtype if suite.dtype != "auto" else "bfloat16" if name.startswith("cuda") else "float32"
    threads = suite.threads or default_threads()
    return Chosen(Settings(seed=suite.seed, device=name, dtype=dtype, threads=threads), reason)


def _named(wanted: str, count: int, found: str) -> str:
    index = int(wanted.partition(":")[2] or 0)
    if index >= count:
        seen = "cpu" + "".join(f", cuda:{i}" for i in range(count))
        raise EnvironmentFault(f"device {wanted!r} does not exist here: {found}; devices seen: {seen}")
    if not _torch_has_cuda():
        raise EnvironmentFault(
            f"device {wanted!r}: torch {metadata.version('torch')} is a CPU-only build; install a CUDA build"
        )
    return f"cuda:{index}"
