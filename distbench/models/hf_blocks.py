"""Dropping decoder blocks of a transformers model: its modules, and what its configuration says block by block.

A configuration describes its blocks in many ways: lists with an entry for each, numbers of certain blocks, counts from
the front, periods. The ways that are known are rewritten. Then a module is built from the new configuration, without
weights, and compared with the blocks that were kept; where the two differ, the model is refused: it would be another
one after it was saved and loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from distbench.errors import RefusedError

LISTS = ("layer_types", "mlp_layer_types", "no_rope_layers")  # an entry a block
NUMBERS = ("mlp_only_layers",)  # which blocks
FROM_THE_FRONT = ("max_window_layers", "first_k_dense_replace")  # how many of the first blocks
COUNT = "num_hidden_layers"


def blocks_of(module: Any) -> Any:
    """Return the list of decoder blocks. Raises RefusedError where the decoder has no such list."""
    layers = getattr(module.get_decoder(), "layers", None)
    if layers is None:
        raise RefusedError(f"{type(module).__name__} has no list of decoder blocks named 'layers'")
    return layers


def keep_blocks(module: Any, kept: Sequence[int]) -> None:
    """Keep these decoder blocks (sorted, 0-based), in place.

    Raises RefusedError where the configuration cannot describe them.
    """
    import torch

    blocks = blocks_of(module)
    module.config.update(block_fields(module.config.to_dict(), list(kept)))
    chosen = torch.nn.ModuleList([blocks[i] for i in kept])
    for position, block in enumerate(chosen):
        for part in block.modules():
            if hasattr(part, "layer_idx"):
                part.layer_idx = position  # type: ignore[assignment]
    module.get_decoder().layers = chosen
    _check_rebuilt(module)


def block_fields(config: dict[str, Any], kept: list[int]) -> dict[str, Any]:
    """Return the fields of a configuration that change when only these blocks stay, with their new values."""
    total = config[COUNT]
    fields: dict[str, Any] = {COUNT: len(kept)}
    for name in LISTS:
        if isinstance(values := config.get(name), list) and len(values) == total:
            fields[name] = [values[i] for i in kept]
    for name in NUMBERS:
        if isinstance(values := config.get(name), list):
            fields[name] = [position for position, i in enumerate(kept) if i in values]
    for name in FROM_THE_FRONT:
        if isinstance(first := config.get(name), int):
            fields[name] = sum(i < first for i in kept)
    if isinstance(period := config.get("decoder_sparse_step"), int):  # every so-manieth block has experts
        dense = [i in (config.get("mlp_only_layers") or []) or (i + 1) % period != 0 for i in kept]
        fields |= {"decoder_sparse_step": 1, "mlp_only_layers": [at for at, each in enumerate(dense) if each]}
    if isinstance(overrides := config.get("per_layer_config"), dict):
        position = {i: at for at, i in enumerate(kept)}
        fields["per_layer_config"] = {
            position[int(i)]: each for i, each in overrides.items() if int(i) in position
        } or None
    return fields


def _check_rebuilt(module: Any) -> None:
    import torch

    name = type(module).__name__
    try:
        config = type(module.config).from_dict(module.config.to_dict())
        with torch.device("meta"):
            rebuilt = type(module)(config)
    except Exception as error:  # whatever a foreign configuration raises
        raise RefusedError(
            f"{name}: its configuration cannot describe the kept blocks ({str(error).splitlines()[0][:160]})"
        ) from error
    for (at, mine), (_, built) in zip(_described(module), _described(rebuilt), strict=False):
        for what in mine.keys() | built.keys():
            if mine.get(what) != built.get(what):
                raise RefusedError(
                    f"{name}: blocks cannot be dropped: loaded again, {at} would have {what} {built.get(what)!r} "
                    f"instead of {mine.get(what)!r}"
                )


def _described(module: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each block's place with its parts, the shapes of its tensors and its settings; then all other tensors."""
    blocks = blocks_of(module)
    yield "the model", {"a number of blocks of": len(blocks)}
    for position, block in enumerate(blocks):
        facts: dict[str, Any] = {name: tuple(tensor.shape) for name, tensor in block.state_dict().items()}
        for name, part in block.named_modules():
            facts[f"type of {name or 'itself'}"] = type(part).__name__
            facts |= {f"{name}.{key}".lstrip("."): value for key, value in _settings(part)}
        yield f"block {position}", facts
    inside = {id(tensor) for tensor in blocks.state_dict(keep_vars=True).values()}
    others = {k: tuple(t.shape) for k, t in module.state_dict(keep_vars=True).items() if id(t) not in inside}
    yield "the model", others


def _settings(part: Any) -> Iterator[tuple[str, Any]]:
    """Yield what decides how a part computes besides its tensors; its own position is known to differ."""
    for key, value in vars(part).items():
        plain = value is None or isinstance(value, (bool, int, float, str))
        if plain and key not in {"layer_idx", "training"} and not key.startswith("_"):
            yield key, value
