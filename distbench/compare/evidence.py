"""What a run's finished cells say, loaded once: manifest, records and samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench.compare.parts import joined
from distbench.compare.sides import Side, side
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell
from distbench.schema.plan import PlannedModel
from distbench.schema.record import (
    Agreement,
    CellRecord,
    EvaluateResult,
    Footprint,
    MakeResult,
    MeasureResult,
    MetricFacts,
    Series,
    Training,
)
from distbench.schema.result import Surroundings
from distbench.store.run_dir import RunDir

Cell = MakeCell | EvaluateCell | MeasureCell


@dataclass(frozen=True)
class Evaluated:
    """One model on one task: what the samples mean, and the samples; in several files where it was asked in parts."""

    cell: EvaluateCell
    result: EvaluateResult
    files: tuple[Path, ...]

    @property
    def folder(self) -> Path:
        """Return where the (first) record lies."""
        return self.files[0].parent

    def side(self, metric: str) -> Side:
        """Return the records of one metric."""
        return side(self.files, metric)

    def facts(self, metric: str) -> MetricFacts | None:
        """Return what a metric means, if there is such a one."""
        return next((facts for facts in self.result.metrics if facts.name == metric), None)


class Evidence:
    """A run, read-only."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self.manifest = run.manifest()
        self.cells: dict[str, Cell] = {c.id: run.cell(c.id) for c in self.manifest.cells}
        self.records: dict[str, CellRecord] = {
            cell_id: run.record(cell_id) for cell_id in self.cells if (run.cells / cell_id).is_dir()
        }
        self.left_out = run.left_out()

    def models(self, role: str) -> list[PlannedModel]:
        """Return planned models of one role."""
        return [model for model in self.manifest.models if model.role == role]

    def planned(self, model: PlannedModel, task: str, teacher: PlannedModel | None = None) -> EvaluateCell | None:
        """Return the planned evaluation of a model on a task; one against a teacher only where it is this teacher."""
        return next(iter(self._planned(model, task, teacher)), None)

    def _planned(self, model: PlannedModel, task: str, teacher: PlannedModel | None) -> list[EvaluateCell]:
        found = [
            cell
            for cell in self.cells.values()
            if isinstance(cell, EvaluateCell)
            and (cell.task.title, cell.model.identity) == (task, model.ref.identity)
            and (cell.reference is None or (teacher and cell.reference.identity == teacher.ref.identity))
        ]
        return sorted(found, key=lambda cell: cell.task.part.start if cell.task.part else 0)

    def evaluated(self, model: PlannedModel, task: str, teacher: PlannedModel | None = None) -> Evaluated | None:
        """Return a model's finished evaluation on a task; one against a teacher only where it is this teacher.

        Parts of a task that grew count as far as they follow one another without a gap.
        """
        done: list[tuple[EvaluateCell, EvaluateResult]] = []
        for cell in self._planned(model, task, teacher):
            record = self.records.get(cell.id)
            reached = done[-1][1].drawn.stop if done and done[-1][1].drawn else 0
            if record is None or not isinstance(record.result, EvaluateResult):
                continue
            if cell.task.part is not None and cell.task.part.start != reached:
                continue
            done.append((cell, record.result))
            if cell.task.part is None:
                break
        if not done:
            return None
        files = tuple(self.run.cells / cell.id / "samples.parquet" for cell, _ in done)
        return Evaluated(done[0][0], joined([result for _, result in done]), files)

    def made(self, model: PlannedModel) -> MakeResult | None:
        """Return how a model was made, where this run made it."""
        record = self.records.get(model.ref.cell or "")
        return record.result if record is not None and isinstance(record.result, MakeResult) else None

    def initial(self, model: PlannedModel) -> dict[str, Any] | None:
        """Return what the initialiser of a model chose, where it was made here."""
        made = self.made(model)
        return made.initial if made else None

    def training(self, model: PlannedModel) -> Training | None:
        """Return a model's training, where it was trained here."""
        made = self.made(model)
        return made.training if made else None

    def agreement(self, model: PlannedModel) -> Agreement | None:
        """Return how an exported model agrees with the one it was exported from."""
        made = self.made(model)
        return made.agreement if made else None

    def content(self, model: PlannedModel) -> str:
        """Return what a model's weights are, however it is opened and whatever runtime it was exported to."""
        cell = self.cells.get(model.ref.cell or "")
        ref = cell.start if isinstance(cell, MakeCell) and cell.deploy and cell.start else model.ref
        return ref.content or ref.identity

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

    def measured_on(self, model: PlannedModel) -> dict[str, MeasureResult]:
        """Return the measurements that hold a model by device; of several of one device the first."""
        found: dict[str, MeasureResult] = {}
        for record in self.records.values():
            if isinstance(record.result, MeasureResult) and model.name in record.result.models:
                found.setdefault(record.device, record.result)
        return found

    def devices(self) -> list[str]:
        """Return the devices that the suite has measured, in its order; empty where it names none."""
        cells = [cell for cell in self.cells.values() if isinstance(cell, MeasureCell)]
        return list(dict.fromkeys(cell.settings.device for cell in cells)) if self.manifest.suite.devices else []

    def surroundings(self, model: PlannedModel) -> Surroundings | None:
        """Return where a model was measured; None where it was not."""
        for record in self.records.values():
            if isinstance(record.result, MeasureResult) and model.name in record.result.models:
                return Surroundings(
                    host=record.host, device=record.device, threads=record.threads, packages=record.packages
                )
        return None

    def measured_work(self, model: PlannedModel) -> str | None:
        """Return the task whose unit of work was repeated when a model was measured."""
        for cell_id, record in self.records.items():
            cell = self.cells[cell_id]
            if isinstance(cell, MeasureCell) and any(ref.name == model.name for ref in cell.models):
                return cell.workload.title if cell.workload and isinstance(record.result, MeasureResult) else None
        return None

    def measured_beside(self, teacher: PlannedModel) -> list[MeasureResult]:
        """Return every measurement of a teacher with some of its students."""
        results = [record.result for record in self.records.values()]
        return [each for each in results if isinstance(each, MeasureResult) and each.models[:1] == [teacher.name]]
