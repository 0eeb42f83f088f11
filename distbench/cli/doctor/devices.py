"""Accelerators: which there are, by UUID, and whether the installed torch can compute on them."""

from __future__ import annotations

from importlib import metadata

from distbench.cli.doctor.finding import Finding
from distbench.host import torch_cuda
from distbench.meters.accelerators import driver_facts
from distbench.meters.nvml import GPU, visible_gpus

GROUP = "devices"


def read_devices() -> list[Finding]:
    """Return the CPU, every visible GPU, and why there is none."""
    cpu = Finding(GROUP, "cpu", True, _torch())
    gpus, seen = visible_gpus()
    if gpus:
        return [cpu, *(_gpu(gpu) for gpu in gpus)]
    return [
        cpu,
        Finding(GROUP, "cuda", False, seen, "none is needed for device: cpu; for CUDA install the NVIDIA driver"),
    ]


def _torch() -> str:
    try:
        version = metadata.version("torch")
    except metadata.PackageNotFoundError:
        return "torch is not installed"
    built = torch_cuda()
    return f"torch {version}, " + (f"built for CUDA {built}" if built else "a CPU-only build")


def _gpu(gpu: GPU) -> Finding:
    driver, split = driver_facts(gpu.uuid)
    words = [
        gpu.name,
        gpu.uuid,
        f"{gpu.memory_bytes / 2**30:.0f} GiB",
        f"driver {driver or 'of unknown version'}",
        _torch(),
    ]
    if split:
        words.append("split into MIG instances: energy of one of them cannot be told")
    usable = torch_cuda() is not None
    facts: dict[str, float | str | list[int] | None] = {
        "name": gpu.name,
        "uuid": gpu.uuid,
        "bytes": gpu.memory_bytes,
        "driver": driver,
        "mig": None if split is None else str(split).lower(),
    }
    return Finding(
        GROUP, f"cuda:{gpu.index}", usable, ", ".join(words), "" if usable else "install a CUDA build of torch", facts
    )
