"""Dynamic int8 linear layers: weights int8 per output channel, activations quantised per call; CPU only.

On disk: ordinary safetensors with `<layer>.weight_int8` and `<layer>.weight_scale` in place of `<layer>.weight`.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

from distbench.errors import EnvironmentFault, RefusedError

MARK = "distbench-int8.json"


def quantise_linears(module: Any, skip: tuple[str, ...]) -> list[str]:
    """Replace every linear layer but those whose name ends with a word of `skip`; return the replaced names.

    Scales are symmetric, max(|w|)/127 per output channel.
    """
    import torch

    names = [
        name
        for name, layer in module.named_modules()
        if isinstance(layer, torch.nn.Linear) and not any(name == word or name.endswith("." + word) for word in skip)
    ]
    for name in names:
        linear = module.get_submodule(name)
        weight = linear.weight.detach().float()
        scale = (weight.abs().amax(dim=1) / 127.0).clamp_min(1e-12)
        integers = torch.round(weight / scale[:, None]).clamp_(-127, 127).to(torch.int8)
        replace(module, name, integers, scale, linear.bias)
    return names


def replace(module: Any, name: str, integers: Any, scale: Any, bias: Any) -> None:
    """Put an int8 layer with these weights [out, in] and scales [out] at `name`."""
    import torch
    from torch.ao.nn.quantized import dynamic

    if "x86" not in torch.backends.quantized.supported_engines and torch.backends.quantized.engine == "none":
        raise EnvironmentFault("int8-dynamic needs a torch build with a quantised CPU engine (fbgemm, x86 or qnnpack)")
    scale64 = scale.double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch announces a successor API that 2.11 lacks
        weight = torch._make_per_channel_quantized_tensor(  # noqa: SLF001 - the only way to set int8 values exactly
            integers, scale64, torch.zeros_like(scale64, dtype=torch.long), 0
        )
        layer = dynamic.Linear(integers.shape[1], integers.shape[0], dtype=torch.qint8)
        layer.set_weight_bias(weight, None if bias is None else bias.detach().float())
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent) if parent else module, child, layer)


def save_int8(module: Any, folder: Path) -> None:
    """Write config.json, model.safetensors and the list of int8 layers."""
    from safetensors.torch import save_file
    from torch.ao.nn.quantized import dynamic

    tensors: dict[str, Any] = {}
    layers = {}
    for name, layer in module.named_modules():
        if isinstance(layer, dynamic.Linear):
            layers[name] = layer.bias() is not None
            tensors[f"{name}.weight_int8"] = layer.weight().int_repr().contiguous()
            tensors[f"{name}.weight_scale"] = layer.weight().q_per_channel_scales().float().contiguous()
            if layer.bias() is not None:
                tensors[f"{name}.bias"] = layer.bias().detach().contiguous()
    seen: set[int] = set()
    for name, parameter in module.named_parameters():  # tied tensors come once
        if parameter.data_ptr() not in seen:
            seen.add(parameter.data_ptr())
            tensors[name] = parameter.detach().contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    module.config.save_pretrained(folder)
    (folder / MARK).write_text(json.dumps({"layers": layers}, indent=1), encoding="utf-8")


def load_int8(folder: Path) -> Any:
    """Rebuild the module that `save_int8` wrote."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM

    layers = json.loads((folder / MARK).read_text(encoding="utf-8"))["layers"]
    config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    tensors = load_file(folder / "model.safetensors")
    for name in layers:
        replace(module, name, tensors.pop(f"{name}.weight_int8"), tensors.pop(f"{name}.weight_scale"), tensors.pop(f"{name}.bias", None))
    outcome = module.load_state_dict(tensors, strict=False, assign=True)
    module.tie_weights()
    left = [name for name, parameter in module.named_parameters() if parameter.is_meta]
    if left or outcome.unexpected_keys:
        raise RefusedError(f"{folder}: tensors missing {left[:3]}, unexpected {outcome.unexpected_keys[:3]}")
    _fill_buffers(module, config)
    return module


def _fill_buffers(module: Any, config: Any) -> None:
    """Give buffers that are computed, not stored (rotary frequencies), their values: copy them from a tiny real model."""
    import copy

    import torch
    from transformers import AutoModelForCausalLM

    small = copy.deepcopy(config)
    small.num_hidden_layers = 1
    small.vocab_size = 8
    small.pad_token_id = None
    small.bos_token_id = small.eos_token_id = 0
    if getattr(small, "layer_types", None):
        small.layer_types = small.layer_types[:1]
    donor = dict(AutoModelForCausalLM.from_config(small, dtype=torch.float32).named_buffers())
    for name, buffer in list(module.named_buffers()):
        if not buffer.is_meta:
            continue
        if name not in donor:
            raise RefusedError(f"buffer {name} cannot be restored: this architecture is not supported by int8-dynamic")
        parent, _, child = name.rpartition(".")
        module.get_submodule(parent).register_buffer(child, donor[name].clone(), persistent=False)
