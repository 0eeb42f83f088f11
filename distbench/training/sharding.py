"""A student and its teachers divided among processes with torch's FSDP2 (`fully_shard`): each holds a part of every
weight, gradient and moment, and a block is whole only while it computes (Zhao et al. 2023, PyTorch FSDP,
https://arxiv.org/abs/2304.11277; torch.distributed.fsdp).

It is called here and not through accelerate's plug-in, which shards on accelerators only: on CPUs, where this is
tested, it would silently fall back to copies. The trainer takes a model that is sharded already as it is.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from distbench.errors import UsageError

MODEL, OPTIMISER = "sharded-model", "sharded-optimiser"


def shard(pupil: Any, teachers: list[Any], *, bfloat16: bool) -> None:
    """Divide a pupil and its teachers among all processes, in place.

    Of the pupil every parameter is divided: each block of its student is gathered when it computes, the rest with the
    whole. Of a teacher its blocks are; its embeddings and output head stay on every process, where chunks of logits are
    made of them.
    """
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    device = next(pupil.parameters()).device.type
    mesh = init_device_mesh(device, (torch.distributed.get_world_size(),))
    same_start(pupil)
    arithmetic = torch.bfloat16 if bfloat16 else None
    # Gradients are summed in float32. The batch's numbers are the losses', not the layers': they keep their type.
    policy = MixedPrecisionPolicy(param_dtype=arithmetic, reduce_dtype=torch.float32, cast_forward_inputs=False)
    for block in blocks(pupil.student):
        fully_shard(block, mesh=mesh, mp_policy=policy)
    fully_shard(pupil, mesh=mesh, mp_policy=policy)
    for teacher in teachers:
        inside = blocks(teacher)
        for block in inside:
            fully_shard(block, mesh=mesh)
        divided = {id(parameter) for block in inside for parameter in block.parameters()}
        trunk = teacher.get_decoder()
        whole = {parameter for parameter in trunk.parameters() if id(parameter) not in divided}
        fully_shard(trunk, mesh=mesh, ignored_params=whole)
    pupil._is_accelerate_prepared = True  # noqa: SLF001 - accelerate's word for "take it as it is"


def same_start(module: Any) -> None:
    """Give every process the first one's parameters: initialisers may draw, or compute on a device that rounds."""
    for parameter in module.parameters():
        torch.distributed.broadcast(parameter.data, src=0)


def blocks(module: Any) -> list[Any]:
    """Return the layers that a transformers model must not be split inside of."""
    names = set(getattr(module, "_no_split_modules", None) or ())
    found = [each for each in module.modules() if type(each).__name__ in names]
    if not found:
        raise UsageError(
            f"{type(module).__name__} does not say which of its layers can be divided among processes; use "
            "launch: {sharding: none}"
        )
    return found


@contextmanager
def gathered(pupil: Any) -> Iterator[None]:
    """Make what lies outside the blocks whole, so that the student can be asked by itself; by all processes alike."""
    pupil.unshard()
    yield
    pupil.reshard()


# -- whole weights -----------------------------------------------------------------------------------------------------


def outline(module: Any) -> Any:
    """Return a copy of a module that is about to be divided: its structure and buffers, parameters without content."""
    empty = {
        id(each): torch.nn.Parameter(torch.empty(0, dtype=each.dtype, device=each.device), each.requires_grad)
        for each in module.parameters()
    }
    return copy.deepcopy(module, empty)


def whole_state(module: Any, *, keep: bool) -> dict[str, Any]:
    """Return all parameters by name, tied ones once, whole and on the CPU; nothing for a process that does not `keep`
    them, but every one must take part."""
    whole = {}
    for name, parameter in module.named_parameters():
        gathered = parameter.full_tensor().detach()
        if keep:
            whole[name] = gathered.cpu().contiguous()
    return whole


def fill(drawn: Any, state: dict[str, Any]) -> None:
    """Put whole parameters into an outline."""
    for name, parameter in drawn.named_parameters():
        parameter.data = state[name].to(parameter.device)


# -- checkpoints -------------------------------------------------------------------------------------------------------


def save_model(pupil: Any, folder: Path) -> None:
    """Write every process's part of the weights; they can be read by another number of processes."""
    from torch.distributed.checkpoint.state_dict import get_model_state_dict
    from torch.distributed.checkpoint.state_dict_saver import save

    save(get_model_state_dict(pupil), checkpoint_id=folder / MODEL)


def load_model(pupil: Any, folder: Path) -> None:
    """Read what `save_model` wrote."""
    from torch.distributed.checkpoint.state_dict import get_model_state_dict, set_model_state_dict
    from torch.distributed.checkpoint.state_dict_loader import load

    state = get_model_state_dict(pupil)
    load(state, checkpoint_id=folder / MODEL)
    set_model_state_dict(pupil, state)


def save_optimiser(pupil: Any, optimiser: Any, folder: Path) -> None:
    """Write every process's part of the optimiser's state."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict
    from torch.distributed.checkpoint.state_dict_saver import save

    save(get_optimizer_state_dict(pupil, optimiser), checkpoint_id=folder / OPTIMISER)


def load_optimiser(pupil: Any, optimiser: Any, folder: Path) -> None:
    """Read what `save_optimiser` wrote."""
    from torch.distributed.checkpoint.state_dict import get_optimizer_state_dict, set_optimizer_state_dict
    from torch.distributed.checkpoint.state_dict_loader import load

    state = get_optimizer_state_dict(pupil, optimiser)
    load(state, checkpoint_id=folder / OPTIMISER)
    set_optimizer_state_dict(pupil, optimiser, state)
