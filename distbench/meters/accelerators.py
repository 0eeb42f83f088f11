"""The accelerators that a cell computes on, by name and UUID: times of two of them are not one machine's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from distbench.meters.nvml import visible_gpus


class DriverFacts(NamedTuple):
    """What the NVIDIA driver says of itself and of one GPU; None: it does not say."""

    version: str | None
    split: bool | None  # MIG: the GPU is split into instances


def accelerators_of(device: str) -> tuple[str, ...]:
    """Return the accelerators behind a cell's device, such as `cuda:1`; none for the CPU.

    An index counts visible GPUs in the order of the PCI bus, which is CUDA's order in every cell.
    """
    kind, _, index = device.partition(":")
    if kind != "cuda":
        return ()
    gpus, found = visible_gpus()
    fitting = [f"{gpu.name} ({gpu.uuid})" for gpu in gpus if gpu.index == int(index or 0)]
    return tuple(fitting) or (f"{device}, which the driver does not describe: {found}",)


def driver_facts(uuid: str) -> DriverFacts:
    """Ask the driver for its version, and whether a GPU is split."""
    import pynvml

    def asked(question: Callable[[], Any]) -> Any:
        try:
            return question()
        except pynvml.NVMLError:  # most GPUs cannot be split, and say so by an error
            return None

    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return DriverFacts(None, None)
    try:
        version = asked(pynvml.nvmlSystemGetDriverVersion)
        modes = asked(lambda: pynvml.nvmlDeviceGetMigMode(pynvml.nvmlDeviceGetHandleByUUID(uuid)))
    finally:
        pynvml.nvmlShutdown()
    text = version.decode() if isinstance(version, bytes) else version
    return DriverFacts(text, None if modes is None else modes[0] == pynvml.NVML_DEVICE_MIG_ENABLE)
