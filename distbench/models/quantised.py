"""Is a torch module quantised, by whichever library?"""

from __future__ import annotations

from typing import Any

from distbench.models import int8


def is_quantised(module: Any) -> bool:
    """Say whether a layer holds integers in place of its weights: ours, or torchao's tensors that wrap others."""
    wrapped = any(hasattr(parameter, "__tensor_flatten__") for parameter in module.parameters())
    return wrapped or any(int8.is_int8(layer) for layer in module.modules())
