"""How large is a model? From its files' headers and its configuration; of one that is made here, from its recipe."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from distbench import plugins
from distbench.data.checkpoint import check_safetensors, read_config
from distbench.errors import DistbenchError
from distbench.plan.shapes import after, shape_of
from distbench.schema.cell import MakeCell, ModelRef

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}
INTEGERS = {"I8", "U8"}
_BLOCK = re.compile(r"(^|\.)(layers?|h|blocks?)\.\d+\.")


@dataclass(frozen=True)
class Size:
    """What is known of a model before it is loaded.

    `stored`: bytes of the weight files. `exact`: read from files; otherwise what the recipe makes of its parent.
    `at_most`: nobody knows how much the recipe makes smaller, so that nothing of it is certain.
    """

    params: int
    stored: int
    blocks: int = 0  # of the parameters, those in blocks
    packed: bool = False  # integers: loaded as they are stored
    vocabulary: int | None = None
    cache_per_token: int | None = None  # elements of the key-value cache
    exact: bool = True
    at_most: bool = False

    def loaded(self, dtype: str) -> int:
        """Return the bytes of the weights in memory."""
        return self.stored if self.packed else self.params * BYTES.get(dtype, 4)


class Sizes:
    """The sizes of a plan's models, each read once.

    `makes`: the cells that make some of them; `places`: folders of cells, where one may lie finished already.
    """

    def __init__(self, makes: Mapping[str, MakeCell], places: Sequence[Path] = ()) -> None:
        self._makes, self._places = makes, places
        self._known: dict[str, Size | None] = {}

    def of(self, ref: ModelRef) -> Size | None:
        """Return the size of a model; None where its files are not of a kind whose headers are read here."""
        key = ref.cell or ref.path or ""
        if key not in self._known:
            self._known[key] = None  # a recipe cannot contain itself
            self._known[key] = self._found(ref)
        return self._known[key]

    def _found(self, ref: ModelRef) -> Size | None:
        if ref.cell is None:
            return stored_size(ref.path)
        for place in self._places:
            if found := stored_size(str(place / ref.cell / "model")):
                return found
        return self.made(self._makes[ref.cell]) if ref.cell in self._makes else None

    def made(self, cell: MakeCell) -> Size | None:
        """Return the size of what a cell makes. Quantised or exported, it is stored no larger than it was.

        None where an initialiser does not look at the parent: a small network of its own, a tree.
        """
        if cell.init is not None and not plugins.load("inits", cell.init.use).needs:
            return None
        parent = cell.start or (cell.teachers[0] if cell.teachers else None)
        size = self.of(parent) if parent else None
        if size is None or parent is None:
            return None
        if cell.init is not None:
            size = _changed(size, parent, cell)
        return replace(size, exact=False) if cell.quantise or cell.deploy else size


def _changed(size: Size, parent: ModelRef, cell: MakeCell) -> Size:
    """Return a parent's size with the layers and widths that an initialiser gives it."""
    before = shape_of(parent)
    if before is None or not before.layers or not before.hidden:
        return replace(size, exact=False, at_most=True)
    now = after(before, cell.init)
    wide, deep = now.hidden / before.hidden, now.layers / before.layers
    params = round(size.blocks * deep * wide**2 + (size.params - size.blocks) * wide)
    cache = size.cache_per_token and round(size.cache_per_token * deep * wide)
    stored = round(size.stored * params / size.params)
    return replace(size, params=params, stored=stored, blocks=round(size.blocks * deep * wide**2),
                   cache_per_token=cache, exact=False)  # fmt: skip


@lru_cache(maxsize=4096)
def stored_size(path: str | None) -> Size | None:
    """Return the size of a checkpoint folder by its headers, of a GGUF file by its bytes; None of anything else."""
    if path is None:
        return None
    place = Path(path)
    try:
        if place.suffix == ".gguf":
            stored = place.stat().st_size
            return Size(params=stored, stored=stored, packed=True, exact=False)
        files = sorted(place.glob("*.safetensors"))
        tensors = {name: entry for file in files for name, entry in check_safetensors(file).items()}
        config = read_config(place) or {}
    except (OSError, DistbenchError):  # whatever is wrong with it is said by who opens it
        return None
    return _of_tensors(tensors, sum(file.stat().st_size for file in files), config) if tensors else None


def _of_tensors(tensors: Mapping[str, Mapping[str, Any]], stored: int, config: Mapping[str, Any]) -> Size:
    counts = {name: math.prod(entry["shape"]) for name, entry in tensors.items()}
    return Size(
        params=sum(counts.values()),
        stored=stored,
        blocks=sum(count for name, count in counts.items() if _BLOCK.search(name)),
        packed=any(entry["dtype"] in INTEGERS for entry in tensors.values()),
        vocabulary=_whole(config, "vocab_size"),
        cache_per_token=_cache(config),
    )


def _cache(config: Mapping[str, Any]) -> int | None:
    """Return the elements that one token adds to the key-value cache: 2 · layers · key-value heads · head size."""
    layers, heads = _whole(config, "num_hidden_layers"), _whole(config, "num_attention_heads")
    hidden = _whole(config, "hidden_size")
    if not layers or not heads or not hidden:
        return None
    head = _whole(config, "head_dim") or hidden // heads
    return 2 * layers * (_whole(config, "num_key_value_heads") or heads) * head


def _whole(config: Mapping[str, Any], name: str) -> int | None:
    value = config.get(name, (config.get("text_config") or {}).get(name))
    return value if isinstance(value, int) and not isinstance(value, bool) else None
