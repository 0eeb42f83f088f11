"""A language model whose checkpoint brings its own Python, which leaves a mark wherever it is imported; and pickles."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from tests.conftest import save_tiny_lm

CONFIGURATION = """\
from transformers import LlamaConfig


class OwnConfig(LlamaConfig):
    model_type = "own-llama"
"""
MODELING = """\
from pathlib import Path

from transformers import LlamaForCausalLM

from .configuration_own import OwnConfig

Path({marker!r}).touch()


class OwnForCausalLM(LlamaForCausalLM):
    config_class = OwnConfig
"""


def save_own_code_lm(folder: Path, marker: Path, *, layers: int = 2) -> Path:
    """Write a tiny model that only its own code can open; `marker` is the file that the code leaves."""
    save_tiny_lm(folder, layers=layers)
    (folder / "configuration_own.py").write_text(CONFIGURATION)
    (folder / "modeling_own.py").write_text(MODELING.format(marker=str(marker)))
    auto = {"AutoConfig": "configuration_own.OwnConfig", "AutoModelForCausalLM": "modeling_own.OwnForCausalLM"}
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "own-llama", "architectures": ["OwnForCausalLM"], "auto_map": auto}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def pickle_weights(folder: Path, payload: object = None, *, old: bool = False) -> Path:
    """Replace a checkpoint's safetensors by a pickle, with something else among the weights where that is given."""
    import torch
    from safetensors.torch import load_file

    tensors: dict[str, Any] = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    if payload is not None:
        tensors["payload"] = payload
    torch.save(tensors, folder / "pytorch_model.bin", _use_new_zipfile_serialization=not old)
    return folder


class Payload:
    """Leaves a mark when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.marker}",)
