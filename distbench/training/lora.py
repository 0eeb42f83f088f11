"""Low-rank adapters around a model's linear layers, merged into the weights at the end.

An adapted layer computes x Wᵀ + alpha / rank · x Aᵀ Bᵀ, and only A and B are trained (Hu et al. 2021, LoRA,
https://arxiv.org/abs/2106.09685). The model stays the object that it is: its layers are replaced where they stand, and
put back by `merge`.
"""

from __future__ import annotations

from typing import Any

from distbench.errors import RunError, UsageError, did_you_mean
from distbench.schema.training import Lora


def adapt(module: Any, lora: Lora, seed: int, trunk: str | None = None) -> dict[str, Any]:
    """Put adapters around a model's layers, drawn by a seed; return what was done, for the record."""
    import torch

    torch.manual_seed(seed)
    layers = wrap(module, lora, trunk)
    trained = sum(parameter.numel() for parameter in module.parameters() if parameter.requires_grad)
    facts = {"rank": lora.rank, "alpha": lora.alpha, "dropout": lora.dropout, "layers": len(layers)}
    return facts | {"trained_parameters": trained}


def wrap(module: Any, lora: Lora, trunk: str | None = None) -> list[str]:
    """Put adapters around linear layers of a transformers model, in place; return the layers' names.

    Only the adapters have gradients afterwards, and what lies outside of `trunk`, the part that was pretrained: a
    classifier's head and its pooler may be new. A is drawn from torch's global generator and B is zero, so the outputs
    are those of the model before. Raises UsageError for a target that is no linear layer of the model.
    """
    from peft import LoraConfig, inject_adapter_in_model

    names = targets(module, lora.targets, trunk)
    config = LoraConfig(r=lora.rank, lora_alpha=lora.alpha, lora_dropout=lora.dropout, target_modules=names)
    inject_adapter_in_model(config, module)
    for name, parameter in module.named_parameters():
        if not _pretrained(name, trunk):
            parameter.requires_grad_(True)
    return names


def _pretrained(name: str, trunk: str | None) -> bool:
    """Return whether a part of a model, by its full name, is there before the training that adapts it."""
    return trunk is None or (name.startswith(f"{trunk}.") and ".pooler." not in name)


def merge(module: Any) -> None:
    """Add every adapter's update to its layer and take the adapters away, in place; all weights have gradients again.

    Raises RunError for an update that is not finite.
    """
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in list(module.named_modules()):
        if isinstance(layer, BaseTunerLayer):
            try:
                layer.merge(safe_merge=True)
            except ValueError as error:
                raise RunError(f"lora: the update of {name} is not finite") from error
            owner, _, own = name.rpartition(".")
            setattr(module.get_submodule(owner), own, layer.get_base_layer())
    if hasattr(module, "peft_config"):
        del module.peft_config
    module.requires_grad_(True)


def targets(module: Any, wanted: list[str] | None, trunk: str | None = None) -> list[str]:
    """Return the full names of the linear layers that `wanted` names by their last word; all but the output head where
    it is None. With a `trunk`, only its layers count."""
    import torch

    head = module.get_output_embeddings() if trunk is None else None
    linear = {
        name: layer
        for name, layer in module.named_modules()
        if isinstance(layer, torch.nn.Linear) and layer is not head and _pretrained(name, trunk)
    }
    if wanted is None:
        return sorted(linear)
    found = {name: word for name in linear for word in wanted if name == word or name.endswith("." + word)}
    for word in wanted:
        if word not in found.values():
            words = sorted({name.rpartition(".")[2] for name in linear})
            raise UsageError(
                f"lora: the model has no linear layer {word!r}{did_you_mean(word, words)} (it has {', '.join(words)})"
            )
    return sorted(found)
