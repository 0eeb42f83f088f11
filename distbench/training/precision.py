"""In which precision a training computes: the weights stay float32, the arithmetic follows the hardware."""

from __future__ import annotations

from pathlib import Path

import torch

CPU_FLAGS = ("amx_bf16", "avx512_bf16")  # without them bfloat16 on a CPU takes about three times as long as float32


def autocast(asked: str | None, device: str) -> bool:
    """Return whether matrix products are computed in bfloat16."""
    if asked in ("float32", "bfloat16"):
        return asked == "bfloat16"
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(set(CPU_FLAGS) & cpu_flags())


def cpu_flags() -> set[str]:
    """Return what this CPU says it can do; nothing where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return set()
    return next((set(line.partition(":")[2].split()) for line in lines if line.startswith("flags")), set())
