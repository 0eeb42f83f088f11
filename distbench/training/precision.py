"""In which precision a training computes: the weights stay float32, the arithmetic follows the hardware."""

from __future__ import annotations

import torch

from distbench.host import cpu_has_bfloat16


def autocast(asked: str | None, device: str) -> bool:
    """Return whether matrix products are computed in bfloat16."""
    if asked in ("float32", "bfloat16"):
        return asked == "bfloat16"
    if device.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return cpu_has_bfloat16()
