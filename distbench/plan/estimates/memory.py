"""How much memory a cell will take at its peak, and how much it takes for certain.

For certain are the weights of what is loaded at once, in the dtype they are loaded in, and what a training in float32
keeps of each parameter. A refusal rests on that alone; the estimate itself comes from records where there are any.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from distbench.plan.estimates import ranges
from distbench.plan.estimates.asked import Asked
from distbench.plan.estimates.past import Past
from distbench.plan.estimates.seconds import SMALL
from distbench.plan.estimates.shape import Size, Sizes
from distbench.plan.estimates.similar import Similar
from distbench.plan.estimates.working import working_bytes
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, ModelRef, Settings
from distbench.schema.forecast import Forecast, about, unknown
from distbench.training.processes import held_by

Cell = MakeCell | EvaluateCell | MeasureCell
INTERPRETER = 480 << 20  # Python with torch, before a model is loaded: the least of the records that we have
BESIDE_WEIGHTS = 1.35  # activations and what loading needs, per byte of weights: of the same records
ADAMW = 16  # bytes a parameter in training: weight, gradient and AdamW's two moments, float32
COMPUTED = "libraries, weights and a share beside them, logits and key-value cache"
CONTEXT = 512 << 20  # of CUDA itself, in each process


def host_memory(cell: Cell, work: Asked, sizes: Sizes, similar: Similar) -> Forecast:
    """Return the host's memory at the peak. Weights for an accelerator pass through it, but not all at once."""
    on_host = not cell.settings.device.startswith("cuda")
    sure = certain(cell, sizes) if on_host else None
    if isinstance(cell, MeasureCell):  # the parent's record says nothing of its children
        return _computed(cell, work, sizes, similar, sure)
    found = from_records(work, similar, sure)
    return found if found is not None else _computed(cell, work, sizes, similar, sure)


def from_records(work: Asked, similar: Similar, sure: float | None = None) -> Forecast | None:
    """Return the memory that the same work, or similar work, took here; None where there is no such record."""
    rows = [row for row in similar.of_both(work.signature, work.model) if row.memory_bytes and not row.probe]
    if rows:
        most = max(row.memory_bytes or 0 for row in rows)
        return about(most, ranges.MEMORY_SAME, "record", "the same work was recorded here", sure)
    same = [row for row in similar.of_model(work.model) if row.memory_bytes] if work.kind == "evaluate" else []
    if same:
        return about(median([row.memory_bytes or 0 for row in same]), ranges.MEMORY_OTHER, "scaled",
                     "this model on other tasks", sure)  # fmt: skip
    rows = [row for row in similar.of_work(work.signature) if row.memory_bytes]
    if rows:
        words = "the same work on other models, by size"
        return about(_by_size(work, rows), ranges.MEMORY_OTHER_MODEL, "scaled", words, sure)
    return None


def device_memory(cell: Cell, work: Asked, sizes: Sizes, similar: Similar) -> Forecast | None:
    """Return the accelerator's memory at the peak; None for a cell on the CPU."""
    if not cell.settings.device.startswith("cuda"):
        return None
    sure, known = certain(cell, sizes), held(cell, sizes)
    if known is None:
        return unknown(_no_size(cell))
    value = CONTEXT + known * BESIDE_WEIGHTS + working_bytes(cell, work.signature, sizes, similar)
    return about(value, ranges.MEMORY_COMPUTED, "computed", COMPUTED, sure)


def certain(cell: Cell, sizes: Sizes) -> float | None:
    """Return the bytes that a cell needs at least; None where a model's size is not known.

    A size that is no more than its parent's (quantised, exported, cut nobody knows how far) is certain for nobody, so
    it counts as 0 here.
    """
    return held(cell, sizes, at_most=False)


def held(cell: Cell, sizes: Sizes, *, at_most: bool = True) -> float | None:
    """Return the bytes of weights, and of what is trained; `at_most`: also of sizes that are only a limit."""
    if isinstance(cell, EvaluateCell):
        refs = [cell.model, *([cell.reference] if cell.reference else [])]
        return _together(refs, sizes, cell.settings, at_most=at_most)
    if isinstance(cell, MeasureCell):
        return _together(cell.models, sizes, cell.settings, at_most=at_most)
    opened = [ref for ref in (cell.start, *cell.teachers) if ref is not None]
    one = max((_weights(ref, sizes, cell.settings, at_most=at_most) or 0.0 for ref in opened), default=0.0)
    return max(one, _training(cell, sizes, at_most=at_most)) or None


def _together(refs: Sequence[ModelRef], sizes: Sizes, settings: Settings, *, at_most: bool) -> float | None:
    """Return the weights of models that are loaded at once."""
    weights = [each for ref in refs if (each := _weights(ref, sizes, settings, at_most=at_most)) is not None]
    return sum(weights) or None


def _weights(ref: ModelRef, sizes: Sizes, settings: Settings, *, at_most: bool) -> float | None:
    size = sizes.of(ref)
    if size is None or (size.at_most and not at_most) or not _held(ref, size):
        return None
    parts = held_by(ref) if settings.device.startswith("cuda") else 1  # each part on a GPU of its own; one host has all
    return size.loaded(settings.dtype) / parts


def _held(ref: ModelRef, size: Size) -> bool:
    """Say whether weights are surely in memory. A GGUF file is mapped: less than all of it may be."""
    return not (ref.path or "").endswith(".gguf") and (size.exact or not size.packed) and ref.use.startswith("hf-")


def _training(cell: MakeCell, sizes: Sizes, *, at_most: bool) -> float:
    """Return what a training keeps of each parameter; adapters and several processes keep less."""
    size = sizes.made(cell)
    if size is None or (size.at_most and not at_most) or not cell.use.startswith("hf-"):
        return 0.0
    if cell.train is None or cell.quantise or cell.deploy:
        return 0.0
    processes = cell.train.launch.processes if cell.train.launch else 1
    if cell.train.options.get("lora") is not None or processes > 1:
        return float(size.params * 4) / processes
    return float(size.params * ADAMW)


def _computed(cell: Cell, work: Asked, sizes: Sizes, similar: Similar, sure: float | None) -> Forecast:
    known = held(cell, sizes)
    if known is None:
        return unknown(_no_size(cell))
    value = float(INTERPRETER * (len(cell.models) if isinstance(cell, MeasureCell) else 1))
    if not cell.settings.device.startswith("cuda"):
        value += known * BESIDE_WEIGHTS + working_bytes(cell, work.signature, sizes, similar)
    return about(value, ranges.MEMORY_COMPUTED, "computed", COMPUTED, sure)


def _no_size(cell: Cell) -> str:
    return f"no record of such work on this machine, and the size of {_whose(cell)} is not known before it is loaded"


def _whose(cell: Cell) -> str:
    return {"make": "the model", "evaluate": "the model", "measure": "the models"}[cell.kind]


def _by_size(work: Asked, rows: Sequence[Past]) -> float:
    """Return what other models took, beside the interpreter in proportion to their parameters."""

    def one(row: Past) -> float:
        took = float(row.memory_bytes or 0)
        ratio = (work.params + SMALL) / (row.params + SMALL) if work.params and row.params else 1.0
        return min(took, INTERPRETER) + max(0.0, took - INTERPRETER) * ratio

    return median([one(row) for row in rows])
