"""How many bytes the weights of a torch module occupy, wherever they are held."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


def weight_bytes(module: torch.nn.Module) -> int:
    """Return the bytes of all parameters and buffers in the dtype they have now; tied tensors count once.

    A layer that keeps its weights in a form that torch does not list (packed for a kernel) says so by `packed_bytes`.
    """
    sizes: dict[int, int] = {}
    for listed in chain(module.parameters(), module.buffers()):
        for tensor in plain(listed):
            address = tensor.data_ptr() if tensor.numel() else 0
            sizes[address] = max(sizes.get(address, 0), tensor.numel() * tensor.element_size())
    packed = sum(int(getattr(part, "packed_bytes", 0)) for part in module.modules())
    return sum(sizes.values()) + packed


def plain(tensor: Any) -> Iterator[Any]:
    """Yield the ordinary tensors that a tensor is made of: a quantised one wraps integers and scales.

    Of one that is divided among processes, this process's part.
    """
    if hasattr(tensor, "to_local"):
        yield from plain(tensor.to_local())
        return
    if not hasattr(tensor, "__tensor_flatten__"):
        yield tensor
        return
    for name in tensor.__tensor_flatten__()[0]:
        yield from plain(getattr(tensor, name))
