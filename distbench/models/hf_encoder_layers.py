"""The blocks of an encoder, and an encoder with fewer of them (DistilBERT's initialisation: every other block)."""

from __future__ import annotations

from typing import Any

from distbench.errors import RefusedError


def blocks_of(module: Any) -> tuple[Any, str, Any]:
    """Return (the module that holds them, their attribute's name, the list of blocks).

    Found by what they are: the one list of `num_hidden_layers` modules with equal tensors. Raises RefusedError where
    there is no such list (stages of a convolutional network differ) or more than one.
    """
    import torch

    count = int(getattr(module.config, "num_hidden_layers", 0) or 0)
    found = [
        (parent, name, child)
        for parent in module.base_model.modules()
        for name, child in parent.named_children()
        if isinstance(child, torch.nn.ModuleList) and len(child) == count and _alike(child)
    ]
    if len(found) != 1:
        raise RefusedError(
            f"{type(module).__name__}: {len(found)} lists of {count} equal blocks; layers cannot be dropped from it"
        )
    return found[0]


def keep_blocks(module: Any, indices: list[int]) -> None:
    """Keep these blocks (sorted, 0-based), in place; the configuration follows."""
    import torch

    parent, name, blocks = blocks_of(module)
    kept = torch.nn.ModuleList([blocks[i] for i in indices])
    for position, block in enumerate(kept):
        for part in block.modules():
            if hasattr(part, "layer_idx"):
                part.layer_idx = position  # type: ignore[assignment]
    setattr(parent, name, kept)
    config = module.config
    config.num_hidden_layers = len(indices)
    if getattr(config, "layer_types", None):
        config.layer_types = [config.layer_types[i] for i in indices]


def _alike(blocks: Any) -> bool:
    shapes = [[(name, tuple(tensor.shape)) for name, tensor in block.state_dict().items()] for block in blocks]
    return bool(shapes) and all(each == shapes[0] for each in shapes)
