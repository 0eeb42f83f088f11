"""What a run's finished cells say, loaded once: manifest, records and samples."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from distbench.errors import RefusedError
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.schema.plan import PlannedModel
from distbench.schema.record import CellRecord, EvaluateResult, Footprint, MakeResult, MeasureResult, Series, Training
from distbench.store.run_dir import RunDir
from distbench.store.samples import read_samples

Cell = MakeCell | EvaluateCell | MeasureCell


@dataclass(frozen=True)
class Evaluated:
    """One model on one task: what the samples mean, and the samples."""

    cell: EvaluateCell
    result: EvaluateResult
    folder: Path

    def samples(self, metric: str) -> pd.DataFrame:
        """Return the samples of one metric, indexed by sample id."""
        table = self._table()
        rows = table[table["metric"] == metric].set_index("sample_id")
        if rows.index.has_duplicates:
            raise RefusedError(f"{self.folder}: sample {rows.index[rows.index.duplicated()][0]} occurs twice")
        return rows

    def _table(self) -> pd.DataFrame:
        return _read(self.folder / "samples.parquet")


@functools.lru_cache(maxsize=64)
def _read(path: Path) -> pd.DataFrame:
    frame: pd.DataFrame = read_samples(path).to_pandas()
    return frame


class Evidence:
    """A run, read-only."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.manifest = run.manifest()
        self.cells: dict[str, Cell] = {c.id: run.cell(c.id) for c in self.manifest.cells}
        self.records: dict[str, CellRecord] = {
            cell_id: run.record(cell_id) for cell_id in self.cells if (run.cells / cell_id).is_dir()
        }

    def models(self, role: str) -> list[PlannedModel]:
        """Return planned models of one role."""
        return [model for model in self.manifest.models if model.role == role]

    def evaluated(self, model: PlannedModel, task: str) -> Evaluated | None:
        """Return a model's finished evaluation on a task."""
        for cell_id, cell in self.cells.items():
            if isinstance(cell, EvaluateCell) and cell.task.title == task and cell.model.identity == model.ref.identity:
                record = self.records.get(cell_id)
                if record is not None and isinstance(record.result, EvaluateResult):
                    return Evaluated(cell, record.result, self.run.cells / cell_id)
        return None

    def made(self, model: PlannedModel) -> MakeResult | None:
        """Return how a model was made, where this run made it."""
        record = self.records.get(model.ref.cell or "")
        return record.result if record is not None and isinstance(record.result, MakeResult) else None

    def training(self, model: PlannedModel) -> Training | None:
        """Return a model's training, where it was trained here."""
        made = self.made(model)
        return made.training if made else None

    def footprint(self, model: PlannedModel) -> Footprint:
        """Return a model's size from whichever record holds it; every field None where none does."""
        if made := self.made(model):
            return made.footprint
        for cell_id, record in self.records.items():
            cell, result = self.cells[cell_id], record.result
            if (
                isinstance(cell, EvaluateCell)
                and isinstance(result, EvaluateResult)
                and cell.model.identity == model.ref.identity
            ):
                return result.footprint
            if isinstance(result, MeasureResult) and model.name in result.footprints:
                return result.footprints[model.name]
        return Footprint()

    def measurements(self, model: PlannedModel) -> tuple[MeasureResult, list[Series]] | None:
        """Return the measurement that holds a model, and all series of it and of its teacher."""
        for record in self.records.values():
            result = record.result
            if isinstance(result, MeasureResult) and model.name in result.models:
                return result, result.series
        return None
