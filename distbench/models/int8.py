"""Dynamic int8 linear layers for the CPU: weights int8 per output channel, activations int8 per token.

torch's own dynamic layer takes one scale for all tokens of a call, so that one outlier token ruins its neighbours and
an answer depends on its batch. Here every token is scaled to [-1, 1] first, and two constant columns (±1, weight 0)
pin that range: the scale of a token is its own, whatever else is in the batch.

On disk: ordinary safetensors with `<layer>.weight_int8` and `<layer>.weight_scale` in place of `<layer>.weight`.
"""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from distbench.errors import EnvironmentFault, RefusedError
from distbench.models.hf_opening import Opening, fresh_like

if TYPE_CHECKING:
    import torch

MARK = "distbench-int8.json"


def _layer_class() -> type[Any]:
    """Return the layer's class; torch is imported only when a model is opened."""
    import torch
    from torch import nn

    class Int8Linear(nn.Module):
        """y = x Wᵀ + b with int8 weights [out, in], scales [out], and one activation scale a token."""

        def __init__(self, weight_int8: torch.Tensor, weight_scale: torch.Tensor, bias: torch.Tensor | None) -> None:
            super().__init__()
            self.bias = bias
            self.in_features, self.out_features = weight_int8.shape[1], weight_int8.shape[0]
            self._packed = _pack(weight_int8, weight_scale)  # the only copy of the weights: memory is what it buys

        @property
        def packed_bytes(self) -> int:
            """What torch lists as no parameter: int8 weights and pins; a scale, zero point and offset a row."""
            return self.out_features * (self.in_features + 2 + 3 * 4)

        def weights(self) -> tuple[torch.Tensor, torch.Tensor]:
            """Return the int8 weights [out, in] and their scales [out]."""
            packed, _ = torch.ops.quantized.linear_unpack(self._packed)
            return packed.int_repr()[:, : self.in_features].contiguous(), packed.q_per_channel_scales().float()

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            peak = x.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12)
            pins = x.new_tensor([1.0, -1.0]).expand(*x.shape[:-1], 2)
            y: torch.Tensor = torch.ops.quantized.linear_dynamic(
                torch.cat([x / peak, pins], dim=-1), self._packed, False
            )
            y = y * peak
            return y if self.bias is None else y + self.bias

    return Int8Linear


def _pack(integers: Any, scale: Any) -> Any:
    """Pack weights [out, in] with two zero columns for torch's int8 kernel."""
    import torch

    if torch.backends.quantized.engine == "none":
        raise EnvironmentFault("int8-dynamic needs a torch build with a quantised CPU engine (x86, fbgemm or qnnpack)")
    wide = torch.nn.functional.pad(integers, (0, 2))
    scale64 = scale.double()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # torch announces a successor API that 2.11 lacks
        quantised = torch._make_per_channel_quantized_tensor(  # noqa: SLF001 - the only way to set int8 values exactly
            wide.contiguous(), scale64, torch.zeros_like(scale64, dtype=torch.long), 0
        )
    return torch.ops.quantized.linear_prepack(quantised, None)


def is_int8(layer: Any) -> bool:
    """Say whether a module is one of the layers made here."""
    return type(layer).__name__ == "Int8Linear" and hasattr(layer, "weights")


def quantise_linears(module: Any, skip: tuple[str, ...]) -> list[str]:
    """Replace every linear layer but those whose name ends with a word of `skip`; return the replaced names.

    Scales are symmetric, max(|w|)/127 per output channel.
    """
    import torch

    made = _layer_class()
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
        bias = None if linear.bias is None else linear.bias.detach().float()
        _put(module, name, made(integers, scale, bias))
    return names


def _put(module: Any, name: str, layer: Any) -> None:
    parent, _, child = name.rpartition(".")
    setattr(module.get_submodule(parent) if parent else module, child, layer)


def save_int8(module: Any, folder: Path) -> None:
    """Write config.json, model.safetensors and the list of int8 layers."""
    from safetensors.torch import save_file

    tensors: dict[str, Any] = {}
    layers = [name for name, part in module.named_modules() if is_int8(part)]
    for name in layers:
        layer = module.get_submodule(name)
        tensors[f"{name}.weight_int8"], tensors[f"{name}.weight_scale"] = layer.weights()
        if layer.bias is not None:
            tensors[f"{name}.bias"] = layer.bias.contiguous()
    seen: set[int] = set()
    for name, parameter in module.named_parameters():  # tied tensors come once
        if parameter.data_ptr() not in seen:
            seen.add(parameter.data_ptr())
            tensors[name] = parameter.detach().contiguous()
    folder.mkdir(parents=True, exist_ok=True)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    if getattr(module.config, "auto_map", None):
        _save_code(module, folder)
    module.config.save_pretrained(folder)
    (folder / MARK).write_text(json.dumps({"layers": layers}, indent=1), encoding="utf-8")


def _save_code(module: Any, folder: Path) -> None:
    """Write the Python that a checkpoint brought, as its own `save_pretrained` would."""
    from transformers.dynamic_module_utils import custom_object_save

    if getattr(module, "_auto_class", None):
        custom_object_save(module, folder, config=module.config)


def load_int8(folder: Path, how: Opening) -> Any:
    """Rebuild the module that `save_int8` wrote."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoConfig, AutoModelForCausalLM

    layers = json.loads((folder / MARK).read_text(encoding="utf-8"))["layers"]
    config = AutoConfig.from_pretrained(folder, trust_remote_code=how.runs_code)
    with torch.device("meta"):
        module = AutoModelForCausalLM.from_config(config, dtype=torch.float32, trust_remote_code=how.runs_code)
    tensors, made = load_file(folder / "model.safetensors"), _layer_class()
    for name in layers:
        try:
            parts = (tensors.pop(f"{name}.weight_int8"), tensors.pop(f"{name}.weight_scale"))
        except KeyError as error:
            raise RefusedError(f"{folder}: tensor {error} is missing") from None
        _put(module, name, made(*parts, tensors.pop(f"{name}.bias", None)))
    outcome = module.load_state_dict(tensors, strict=False, assign=True)
    module.tie_weights()
    left = [name for name, parameter in module.named_parameters() if parameter.is_meta]
    if left or outcome.unexpected_keys:
        raise RefusedError(f"{folder}: tensors missing {left[:3]}, unexpected {outcome.unexpected_keys[:3]}")
    _fill_buffers(module, config)
    return module


def _fill_buffers(module: Any, config: Any) -> None:
    """Give buffers that are computed, not stored (rotary frequencies), their values: taken from a one-block model."""
    import copy

    import torch

    small = copy.deepcopy(config)
    small.num_hidden_layers = 1
    small.vocab_size = 8
    small.pad_token_id = None
    small.bos_token_id = small.eos_token_id = 0
    if getattr(small, "layer_types", None):
        small.layer_types = small.layer_types[:1]
    donor = dict(fresh_like(module, small, torch.float32).named_buffers())
    for name, buffer in list(module.named_buffers()):
        if not buffer.is_meta:
            continue
        if name not in donor:
            raise RefusedError(f"buffer {name} cannot be restored: this architecture is not supported by int8-dynamic")
        parent, _, child = name.rpartition(".")
        module.get_submodule(parent).register_buffer(child, donor[name].clone(), persistent=False)
