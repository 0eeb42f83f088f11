"""Width pruning: keep the neurons, attention heads and channels that are most active on some text.

After Muralidharan et al. 2024 (Minitron, https://arxiv.org/abs/2407.14679): all widths and, where asked for, the blocks
are ranked by one measurement on the whole parent, then cut at once. The size of a head stays. With grouped queries, a
query head never leaves its key/value head: whole groups go, or equally many query heads of every group.

Unlike the paper, where channels go, every norm is scaled for it: an RMS norm over the louder channels alone divides by
more than before. So channels that are silent can be cut without any change.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from distbench.data.calibration import Calibration
from distbench.data.checkpoint import read_config
from distbench.data.token_signal import TokenRows
from distbench.errors import UsageError
from distbench.methods.importance import Influence, Level, See, Strength, observe, strongest
from distbench.methods.layer_drop import Keep, chosen
from distbench.methods.slicing import Kept, KeptInside, Widths, narrowed
from distbench.schema.cell import Settings
from distbench.schema.strict import Strict

CODE_VERSION = 1  # part of a cell's id: raise it when the same options would keep something else
DIVISIBLE = frozenset({"llama"})  # families whose configuration insists on hidden_size being a multiple of the heads
Width = Annotated[int, Field(ge=1, le=1_000_000)] | None


class WidthPruneOptions(Strict):
    """Options of `init: {use: width-prune}`: what the student is to have; a width that is left out stays."""

    hidden_size: Width = Field(None, description="channels of the residual stream")
    intermediate_size: Width = Field(None, description="neurons of each MLP")
    num_attention_heads: Width = Field(None, description="query heads of each block")
    num_key_value_heads: Width = Field(
        None, description="key/value heads of each block: whole groups go; else as many query heads of every group"
    )
    keep: Keep | None = Field(None, description="how many blocks to keep, or which (0-based); all where left out")
    by: Literal["spaced", "influence"] = Field("spaced", description="which blocks stay where 'keep' is a number")
    calibration: Calibration = Field(Calibration(), description="the text that activations are measured on")

    @model_validator(mode="after")
    def _something(self) -> WidthPruneOptions:
        if not any((self.hidden_size, self.intermediate_size, self.num_attention_heads, self.num_key_value_heads)):
            raise ValueError("give hidden_size, intermediate_size, num_attention_heads or num_key_value_heads")
        if self.by == "influence" and not isinstance(self.keep, int):
            raise ValueError("'by: influence' chooses the blocks itself: give 'keep' a number")
        return self


class WidthPrune:
    """Make the parent narrower, and shallower if asked to."""

    Options = WidthPruneOptions
    needs: ClassVar[frozenset[str]] = frozenset({"causal-lm", "layers", "remake", "save"})
    makes: ClassVar[str | None] = None
    paths: ClassVar[frozenset[str]] = frozenset({"calibration.texts"})

    def __init__(self, options: WidthPruneOptions) -> None:
        self.options = options
        self.notes: dict[str, Any] = {}

    def identity(self) -> dict[str, Any]:
        """Return what decides the result besides the options."""
        return {"code": CODE_VERSION, "calibration": self.options.calibration.identity()}

    def fits(self, folder: Path) -> None:
        """Raise UsageError where the parent's configuration says that it cannot be cut so."""
        config = read_config(folder)
        if config is not None:
            wanted_widths(config, self.options)
            self._blocks(config["num_hidden_layers"], None)

    def make(self, parent: Any, settings: Settings) -> Any:
        """Return a narrower model (the parent is changed)."""
        widths = wanted_widths(parent.module.config.to_dict(), self.options)
        rows = self.options.calibration.rows(parent, settings.seed)
        measured = Measured.on(parent.module, rows)
        blocks = self._blocks(parent.layer_count(), measured.influence)
        kept = measured.best(blocks, Widths.of(parent.module.config.to_dict()), widths)
        if len(kept.channels) < measured.channels.shape[1]:
            level_norms(parent.module, rows, kept.channels)
        if len(blocks) < parent.layer_count():
            parent.keep_layers(blocks)
        self.notes |= {"kept_blocks": blocks, "calibration": self.options.calibration.facts(rows)} | widths.fields()
        return parent.remade(narrowed(parent.module, widths, kept))

    def _blocks(self, total: int, influence: list[float] | None) -> list[int]:
        keep = self.options.keep
        if keep is None:
            return list(range(total))
        found = chosen(keep, total)
        if self.options.by == "influence" and influence is not None:
            self.notes["influence"] = influence
            return strongest(influence, len(found))
        return found


@dataclass(frozen=True)
class Measured:
    """What is active in each block of a decoder.

    Shapes: influence [blocks]; neurons [blocks, inner]; outputs [blocks, heads · head_dim], what the heads hand on;
    channels [blocks + 1, hidden], behind the norms of each block and behind the last one.
    """

    influence: list[float]
    neurons: NDArray[np.float64]
    outputs: NDArray[np.float64]
    channels: NDArray[np.float64]

    @classmethod
    def on(cls, module: Any, rows: TokenRows) -> Measured:
        """Measure a loaded Llama-like decoder on rows of text."""
        decoder = module.get_decoder()
        influence = [Influence() for _ in decoder.layers]
        neurons, outputs = ([Strength() for _ in decoder.layers] for _ in range(2))
        before, after = ([Strength(of_output=True) for _ in decoder.layers] for _ in range(2))
        last = Strength(of_output=True)
        watched: list[tuple[Any, See]] = [(decoder.norm, last)]
        for i, block in enumerate(decoder.layers):
            watched += [(block, influence[i]), (block.mlp.down_proj, neurons[i]), (block.self_attn.o_proj, outputs[i])]
            watched += [(block.input_layernorm, before[i]), (block.post_attention_layernorm, after[i])]
        observe(module, rows, watched)
        behind = [a.values + b.values for a, b in zip(before, after, strict=True)]
        return cls(
            [each.value for each in influence],
            np.stack([each.values for each in neurons]),
            np.stack([each.values for each in outputs]),
            np.stack([*behind, last.values]),
        )

    def best(self, blocks: list[int], old: Widths, new: Widths) -> Kept:
        """Return what stays: the most active of everything. A channel is one for all kept blocks."""
        channels = self.channels[[*blocks, -1]].sum(axis=0)
        inside = [
            KeptInside(strongest(self.neurons[block], new.inner), *self._heads(block, old, new)) for block in blocks
        ]
        return Kept(strongest(channels, new.hidden), inside)

    def _heads(self, block: int, old: Widths, new: Widths) -> tuple[list[int], list[int]]:
        """Return query heads and key/value heads that stay in a block."""
        inside, keep = old.heads // old.groups, new.heads // new.groups
        scores = np.linalg.norm(self.outputs[block].reshape(old.groups, inside, old.head_dim), axis=-1)
        best = [strongest(each, keep) for each in scores]
        groups = strongest([scores[group, heads].sum() for group, heads in enumerate(best)], new.groups)
        return [group * inside + head for group in groups for head in best[group]], groups


def level_norms(module: Any, rows: TokenRows, channels: list[int]) -> None:
    """Scale every norm over the residual stream, in place, by what it will divide by in these channels alone."""
    import torch

    decoder = module.get_decoder()
    norms = [decoder.norm, *(norm for b in decoder.layers for norm in (b.input_layernorm, b.post_attention_layernorm))]
    levels = [Level(channels) for _ in norms]
    observe(module, rows, list(zip(norms, levels, strict=True)))
    with torch.no_grad():
        for norm, level in zip(norms, levels, strict=True):
            norm.weight.mul_(level.value)


def wanted_widths(config: dict[str, Any], options: WidthPruneOptions) -> Widths:
    """Return the widths that a student is to have. Raises UsageError, in words, for those that it cannot have."""
    old = Widths.of(config)
    heads, groups = _heads(old, options)
    new = Widths(options.hidden_size or old.hidden, options.intermediate_size or old.inner, heads, groups, old.head_dim)
    for (name, wide), narrow in zip(old.fields().items(), new.fields().values(), strict=True):
        if narrow > wide:
            raise UsageError(f"width-prune: {name} {narrow} is more than the parent's {wide}; it only takes away")
    if heads % groups or heads // groups > old.heads // old.groups:
        most = groups * (old.heads // old.groups)
        raise UsageError(
            f"width-prune: {heads} query heads do not fit {groups} key/value heads; the parent has {old.heads} for "
            f"{old.groups}, so give a multiple of {groups} up to {most}"
        )
    if config.get("model_type") in DIVISIBLE and new.hidden % heads:
        lower = new.hidden // heads * heads
        raise UsageError(
            f"width-prune: transformers wants a hidden_size that is a multiple of the {heads} heads; {new.hidden} is "
            f"not, {lower} is"
        )
    return new


def _heads(old: Widths, options: WidthPruneOptions) -> tuple[int, int]:
    """Return query and key/value heads; where one is left out, the other decides."""
    heads, groups = options.num_attention_heads, options.num_key_value_heads
    if heads is None and groups is None:
        return old.heads, old.groups
    if heads is None:
        assert groups is not None
        return groups * (old.heads // old.groups), groups
    if groups is None:
        return heads, heads if old.heads == old.groups else old.groups
    return heads, groups
