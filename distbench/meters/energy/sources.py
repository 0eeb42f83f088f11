"""Which instrument reads the energy of a model: chosen by where it computes, and by what this machine shows."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from distbench.meters.energy.board import Unsupported
from distbench.meters.energy.fault import EnergyFault
from distbench.meters.energy.meter_file import MeterFile
from distbench.meters.energy.nvml_sources import NvmlCounter, NvmlPower
from distbench.meters.energy.options import EnergyOptions, External
from distbench.meters.energy.prometheus import PrometheusCounter, PrometheusPower
from distbench.meters.energy.rapl import Rapl
from distbench.meters.energy.source import Source
from distbench.meters.nvml import visible_gpus

CUDA = "cuda"


class Chosen(NamedTuple):
    """An open source, and why this one."""

    source: Source
    why: str


class Finding(NamedTuple):
    """One line of `doctor`: a source, whether it can be read, what was seen, and what to do where it cannot."""

    what: str
    usable: bool
    seen: str
    remedy: str = ""


def choose(options: EnergyOptions, device: str) -> Chosen:
    """Open the source that the options name, or for `auto` the one of the model's device ("cpu", "cuda:1").

    Raises EnergyFault where it cannot be read. Nothing takes its place: another source would be another scope.
    """
    named = options.source
    if named == "external":
        assert options.external is not None
        return Chosen(_external(options.external), "source: external was asked for")
    on_gpu = device.startswith(CUDA)
    if named == "rapl" or (named == "auto" and not on_gpu):
        if on_gpu:
            raise EnergyFault("source: rapl reads the CPU, and the model computes on a GPU", "source: auto")
        why = f"{named} was asked for" if named == "rapl" else f"auto: the model computes on {device}"
        return Chosen(Rapl(Path(options.powercap)), why)
    if not on_gpu:
        raise EnergyFault(f"source: {named} reads a GPU, and the model computes on {device}", "source: auto")
    uuid = gpu_uuid(device)
    if named == "nvml-power":
        return Chosen(NvmlPower(uuid), f"{named} was asked for")
    try:
        return Chosen(NvmlCounter(uuid), f"{named}: the model computes on {device}, which is {uuid}")
    except Unsupported as fault:
        if named == "nvml-counter":
            raise
        return Chosen(NvmlPower(uuid), f"auto: {uuid} has no energy counter ({fault.reason})")


def gpu_uuid(device: str) -> str:
    """Return the UUID of the GPU that "cuda" or "cuda:N" means to this process.

    torch is asked where it computes: CUDA orders GPUs by speed, the driver by slot. Without it the driver's order
    counts, as far as CUDA_VISIBLE_DEVICES leaves it.
    """
    index = int(device.partition(":")[2] or 0)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return f"GPU-{torch.cuda.get_device_properties(index).uuid}"
    gpus, seen = visible_gpus()
    if index >= len(gpus):
        raise EnergyFault(f"{device}: {seen}", "nvidia-smi -L  lists what the driver has; look at CUDA_VISIBLE_DEVICES")
    return gpus[index].uuid


def findings(device: str) -> list[Finding]:
    """Return a line for every source that could serve a model on this device ("cpu", "cuda:0"; "auto": on any)."""
    found = []
    if not device.startswith(CUDA):
        found.append(_finding("energy of CPU packages (rapl)", Rapl))
    if device != "cpu":
        name = CUDA if device == "auto" else device
        found.append(_finding(f"energy of {name} (nvml-counter)", lambda: NvmlCounter(gpu_uuid(name))))
        found.append(_finding(f"energy of {name} (nvml-power)", lambda: NvmlPower(gpu_uuid(name))))
    return found


def _finding(what: str, make: Callable[[], Source]) -> Finding:
    try:
        source = make()
    except EnergyFault as fault:
        return Finding(what, False, fault.reason, fault.remedy)
    try:
        source.guard()
        facts = source.facts()
        seen = ", ".join(str(facts[name]) for name in ("gpu", "gpu_uuid", "zones") if name in facts)
        return Finding(what, True, f"{source.scope}: {seen}")
    except EnergyFault as fault:
        return Finding(what, False, fault.reason, fault.remedy)
    finally:
        source.close()


def _external(options: External) -> Source:
    if options.metric is None:
        assert options.path is not None
        return MeterFile(Path(options.path), options.scope)
    where = options.url or str(options.path)
    kind = PrometheusCounter if options.unit == "joules" else PrometheusPower
    return kind(where, options.metric, options.scope)
