"""What a cell leaves on disk, and what it needs there while it works."""

from __future__ import annotations

from statistics import median

from distbench.plan.estimates import ranges
from distbench.plan.estimates.asked import Asked
from distbench.plan.estimates.shape import BYTES, Sizes
from distbench.plan.estimates.similar import Similar
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.schema.forecast import Forecast, about, unknown

Cell = MakeCell | EvaluateCell | MeasureCell
RECORD = 8 << 10  # bytes of cell.json, record.json and hashes: of the records that we have
SAMPLE = 160  # bytes of a sample in samples.parquet: likewise
SERIES = 16 << 10  # bytes of the raw times of one model
OPTIMISER_COPIES = 3  # a checkpoint of a training: the weights and AdamW's two moments, float32
FILES = 4 << 20  # a tokenizer and its configuration beside the weights


def disk_bytes(cell: Cell, work: Asked, sizes: Sizes, similar: Similar) -> Forecast:
    """Return what stays: of a model its weights, of an evaluation a row a sample. The cache links these files."""
    rows = similar.of_both(work.signature, work.model)
    if rows:
        return about(median([row.disk_bytes for row in rows]), ranges.DISK, "record", "the same work was recorded here")
    if isinstance(cell, MakeCell):
        return _checkpoint(cell, work, sizes, similar)
    if isinstance(cell, MeasureCell):
        return about(RECORD + SERIES * len(cell.models), 3.0, "computed", "raw times of each model")
    per_sample = [row.disk_bytes / row.amount for row in similar.of_work(work.signature) if row.amount]
    if work.amount is None:
        return unknown("how many samples the task has is not known before its data is loaded")
    if per_sample:
        return about(median(per_sample) * work.amount, ranges.DISK, "scaled", "this task with other models")
    return about(RECORD + SAMPLE * work.amount, 3.0, "computed", "a row for each sample")


def _checkpoint(cell: MakeCell, work: Asked, sizes: Sizes, similar: Similar) -> Forecast:
    size = sizes.made(cell)
    if size is None:
        rows = similar.of_work(work.signature)
        if rows:
            return about(median([row.disk_bytes for row in rows]), 5.0, "scaled", "models made in the same way")
        return unknown("the size of the model is not known before it is made")
    if cell.quantise or cell.deploy:
        return about(size.stored / 2, 2.5, "computed", "between a fifth of what it is made of, and a little more")
    if cell.init is None and cell.train is None:
        return about(size.stored + FILES, 1.5, "computed", "the weights of its source",
                     sure=None if size.at_most else 0.5 * size.stored)  # fmt: skip
    weights = size.params * BYTES.get(cell.settings.dtype, 4)
    return about(weights + FILES, ranges.DISK, "computed", "parameters in the dtype of the run",
                 sure=None if size.at_most else 0.5 * weights)  # fmt: skip


def scratch_bytes(cell: Cell, sizes: Sizes) -> Forecast:
    """Return what a training keeps on disk to be resumed from; it goes when the cell is finished."""
    if not isinstance(cell, MakeCell) or cell.train is None:
        return Forecast(value=0.0, lo=0.0, hi=0.0, source="computed", why="nothing is kept to resume from")
    size = sizes.made(cell)
    if size is None:
        return unknown("the size of the model is not known before it is made")
    return about(4.0 * OPTIMISER_COPIES * size.params, 1.5, "computed", "one checkpoint: weights and AdamW's moments")
