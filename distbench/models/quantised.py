"""Is a model quantised, and by which library?"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

from distbench.errors import EnvironmentFault
from distbench.models import int8

BESIDE_INTEGERS = (".weight_scale", "._weight_scale", "._weight_zero_point")  # ends of names: no parameters


def is_quantised(module: Any) -> bool:
    """Say whether a layer holds integers in place of its weights: ours, or torchao's tensors that wrap others."""
    wrapped = any(hasattr(parameter, "__tensor_flatten__") for parameter in module.parameters())
    return wrapped or any(int8.is_int8(layer) for layer in module.modules())


def check_library(folder: Path) -> None:
    """Raise EnvironmentFault where a checkpoint folder names a library of quantised tensors that is not installed."""
    path = folder / "config.json"
    if not path.is_file():  # a GGUF file, or a folder that is refused with a better reason
        return
    quantisation = json.loads(path.read_text(encoding="utf-8")).get("quantization_config") or {}
    if quantisation.get("quant_method") == "torchao" and importlib.util.find_spec("torchao") is None:
        raise EnvironmentFault(f"{folder} was quantised by torchao: pip install 'distbench[torchao]'")
