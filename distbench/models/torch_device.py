"""Put torch into the state a cell asks for: device, dtype, threads, seed. Never a silent fall-back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from distbench.errors import EnvironmentFault
from distbench.schema.cell import Settings

if TYPE_CHECKING:
    import torch


def prepare_torch(settings: Settings) -> torch.device:
    """Set threads and seed of this process and return its device."""
    import torch

    assert settings.threads is not None, "only imported cells lack it, and they are never run"
    torch.set_num_threads(settings.threads)
    torch.manual_seed(settings.seed)
    device = torch.device(settings.device)
    if device.type == "cuda":
        seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if (device.index or 0) >= seen:
            raise EnvironmentFault(
                f"device {settings.device!r}: torch {torch.__version__} sees {seen} CUDA devices; "
                "use --device cpu, or install a torch build for this GPU"
            )
        torch.cuda.set_device(device)  # what a library puts on "the" GPU lands on this one
    return device


def torch_dtype(settings: Settings) -> torch.dtype:
    """Return the dtype that a cell computes in."""
    import torch

    dtype = getattr(torch, settings.dtype)
    assert isinstance(dtype, torch.dtype)
    return dtype
