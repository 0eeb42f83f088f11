"""Which device and dtype a run uses. `auto` chooses and says why; a named device is used or refused, never replaced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from distbench.errors import EnvironmentFault, UsageError
from distbench.host import default_threads, package_versions, torch_cuda
from distbench.meters.nvml import GPU, visible_gpus
from distbench.schema.cell import Settings
from distbench.schema.suite import Suite
from distbench.schema.wording import DEVICE_WORDS

_NAMED = re.compile(r"cuda(?::(?:(?P<index>\d{1,3})|(?P<uuid>GPU-[0-9A-Fa-f-]+)))?")


@dataclass(frozen=True)
class Chosen:
    """The settings of every cell, and why this device."""

    settings: Settings
    reason: str


def choose(suite: Suite, device: str | None = None, *, elsewhere: bool = False) -> Chosen:
    """Return the settings of a run. `device`, from the command line, goes before the suite's; `elsewhere`: it is a
    device of other machines, of which each cell is given its own.

    Raises EnvironmentFault where a named CUDA device does not exist or this torch build cannot use it, UsageError
    where the name is none.
    """
    wanted = device or suite.device
    name, reason = _elsewhere(wanted) if elsewhere else _resolved(wanted)
    dtype = suite.dtype if suite.dtype != "auto" else "bfloat16" if name.startswith("cuda") else "float32"
    threads = suite.threads or default_threads()
    return Chosen(Settings(seed=suite.seed, device=name, dtype=dtype, threads=threads), reason)


def measured_on(suite: Suite, chosen: Chosen, *, elsewhere: bool = False) -> list[tuple[Settings, str | None]]:
    """Return the settings of each device that is measured, and why it is not here where it is not.

    Raises UsageError where two names mean one device.
    """
    found: dict[str, tuple[Settings, str | None]] = {}
    for name in suite.devices or []:
        try:
            settings, absent = choose(suite, name, elsewhere=elsewhere).settings, None
        except EnvironmentFault as error:
            kept = "bfloat16" if suite.dtype == "auto" else suite.dtype
            settings, absent = chosen.settings.model_copy(update={"device": name, "dtype": kept}), error.message
        if settings.device in found:
            raise UsageError(f"devices: {name!r} means {settings.device}, which is listed already")
        found[settings.device] = settings, absent
    return list(found.values()) or [(chosen.settings, None)]


def _elsewhere(wanted: str) -> tuple[str, str]:
    """Return the device of cells that run on other machines: a GPU there is the only one that its cell sees."""
    if wanted == "cpu":
        return "cpu", "device cpu was asked for"
    if wanted == "cuda":
        return "cuda:0", "device cuda was asked for: the engine gives each cell its GPU"
    if wanted == "auto":
        return "cpu", "auto: cells on other machines run on their CPUs; for their GPUs say device cuda"
    raise UsageError(f"device {wanted[:60]!r} names one of this machine's; where the engine gives out GPUs, say cuda")


def _resolved(wanted: str) -> tuple[str, str]:
    """Return (cpu or cuda:INDEX, why). An index counts the visible GPUs in the order of the PCI bus."""
    asked = f"device {wanted} was asked for"
    if wanted == "cpu":
        return "cpu", asked
    if wanted != "auto" and not _NAMED.fullmatch(wanted):
        raise UsageError(f"--device {wanted[:60]!r}: expected {DEVICE_WORDS}")
    gpus, found = visible_gpus()
    if wanted == "auto":
        return _automatic(gpus, found)
    gpu = _named(wanted, gpus, found)
    if not _torch_has_cuda():
        build = f"torch {package_versions().get('torch', 'is not installed or')} is a CPU-only build"
        raise EnvironmentFault(f"device {wanted!r}: {_described(gpu)} is there, but {build}; install a CUDA build")
    return f"cuda:{gpu.index}", f"{asked}: {_described(gpu)}"


def _automatic(gpus: Sequence[GPU], found: str) -> tuple[str, str]:
    if not gpus:
        return "cpu", f"auto: {found}"
    if not _torch_has_cuda():
        return "cpu", f"auto: {found}, but this torch is a CPU-only build"
    return f"cuda:{gpus[0].index}", f"auto: {found}; the first is {_described(gpus[0])}"


def _named(wanted: str, gpus: Sequence[GPU], found: str) -> GPU:
    """Return the one GPU that a name means."""
    name = _NAMED.fullmatch(wanted)
    assert name is not None, "checked before"
    if prefix := name["uuid"]:
        fitting = [gpu for gpu in gpus if gpu.uuid.lower().startswith(prefix.lower())]
    else:
        fitting = [gpu for gpu in gpus if gpu.index == int(name["index"] or 0)]
    if len(fitting) == 1:
        return fitting[0]
    wrong = "does not exist here" if not fitting else f"means {len(fitting)} GPUs; give more of the UUID"
    seen = ", ".join(["cpu", *map(_described, gpus)])
    raise EnvironmentFault(f"device {wanted!r} {wrong}: {found}; devices seen: {seen}")


def _described(gpu: GPU) -> str:
    return f"cuda:{gpu.index} ({gpu.name}, {gpu.uuid})"


def _torch_has_cuda() -> bool:
    return torch_cuda() is not None
