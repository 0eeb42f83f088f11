"""Memory of an accelerator: torch's allocator, and what the driver has given this process."""

from __future__ import annotations

import os
from typing import Any


class Allocator:
    """torch's CUDA allocator on one device. Bytes; tensors only, without the context and the libraries."""

    def __init__(self, device: str) -> None:
        import torch

        self._cuda, self._device = torch.cuda, torch.device(device)

    def restart(self) -> None:
        """Forget the peaks: from now on."""
        self._cuda.reset_peak_memory_stats(self._device)

    def allocated(self) -> float:
        """Return the largest size of all tensors together."""
        return float(self._cuda.max_memory_allocated(self._device))

    def reserved(self) -> float:
        """Return the largest size of what the allocator held for tensors."""
        return float(self._cuda.max_memory_reserved(self._device))

    def uuid(self) -> str:
        """Return the device's UUID as the driver writes it."""
        return f"GPU-{self._cuda.get_device_properties(self._device).uuid}"


def allocator_of(model: Any) -> Allocator | None:
    """Return the allocator of a model that computes on a GPU through torch; None for every other one."""
    device = str(getattr(getattr(model, "settings", None), "device", ""))
    return Allocator(device) if device.startswith("cuda") else None


def process_bytes(uuid: str, pid: int | None = None) -> tuple[int | None, str]:
    """Return (bytes of the GPU that the driver counts for a process, why there is none).

    Everything that the process holds there: context, libraries, the allocator's reserve. Asked by UUID.
    """
    try:
        import pynvml
    except ImportError:
        return None, "nvidia-ml-py is not installed"
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return None, f"no NVIDIA driver ({error})"
    try:
        running = pynvml.nvmlDeviceGetComputeRunningProcesses(pynvml.nvmlDeviceGetHandleByUUID(uuid))
    except pynvml.NVMLError as error:
        return None, f"the driver lists no processes of {uuid} ({error})"
    finally:
        pynvml.nvmlShutdown()
    mine = os.getpid() if pid is None else pid
    used = next((process.usedGpuMemory for process in running if process.pid == mine), None)
    if used is None:
        listed = "without a size" if any(process.pid == mine for process in running) else "not at all"
        return None, f"the driver lists process {mine} {listed}; a container may hide how it numbers processes"
    return int(used), ""
