"""A causal language model that is too big for one device: its weights divided among processes by transformers itself.

Every process asks the same questions, holds its part of every matrix, and gets the whole answer: what comes out is what
one device would say, to rounding (tensor parallelism, Shoeybi et al. 2019). transformers knows how to divide the
architectures that state a `tp_plan`, such as Llama, Qwen, Mistral and Gemma; it refuses the others.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.models import int8
from distbench.models.hf_opening import UNREADABLE, Opening, unreadable
from distbench.models.hf_weights import refuse_incomplete
from distbench.models.torch_device import torch_dtype
from distbench.schema.cell import Settings
from distbench.training.processes import Processes

HEADS = ("num_attention_heads", "num_key_value_heads")  # a head is never divided


def check_divisible(path: Path | None, processes: int) -> None:
    """Raise UsageError where a checkpoint has heads that cannot be dealt out, or files that are never divided.

    `path` None: it is made later, and would have to be made whole.
    """
    if path is None:
        raise UsageError("tensor_parallel: only a checkpoint that exists can be divided, not one that is made here")
    if path.suffix == ".gguf" or (path / int8.MARK).is_file():
        raise UsageError(f"tensor_parallel: {path} is quantised; divide a checkpoint in safetensors")
    try:
        config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return  # what is wrong with it is said where the checkpoint itself is looked at
    config = config.get("text_config") or config if isinstance(config, dict) else {}
    if "quantization_config" in config:
        raise UsageError(f"tensor_parallel: {path} is quantised; divide a checkpoint in safetensors")
    for name in HEADS:
        if isinstance(count := config.get(name), int) and count % processes:
            raise UsageError(f"tensor_parallel: {processes} processes cannot share {count} heads evenly ({name})")


def open_divided(path: Path, settings: Settings, processes: int, how: Opening) -> Any:
    """Load this process's part of a model. The processes have joined before.

    Raises RefusedError where transformers cannot divide the architecture, or did not.
    """
    from torch.distributed.tensor import DTensor
    from transformers import AutoModelForCausalLM
    from transformers.distributed import DistributedConfig

    here = Processes.here()
    if here.count != processes:
        raise EnvironmentFault(
            f"{path} is to be held by {processes} processes (tensor_parallel), and here is {here.count}"
        )
    try:
        module, report = AutoModelForCausalLM.from_pretrained(
            path,
            dtype=torch_dtype(settings),
            distributed_config=DistributedConfig(tp_plan="auto", tp_size=processes),
            **how.words(),
            output_loading_info=True,
            ignore_mismatched_sizes=True,  # they are reported, and refused below with the tensor's name
        )
    except UNREADABLE as error:
        raise unreadable(path, error, "divide") from error
    refuse_incomplete(report, path)
    if not any(isinstance(parameter, DTensor) for parameter in module.parameters()):
        raise RefusedError(f"{path}: transformers loaded it whole into each of {processes} processes")
    return module
