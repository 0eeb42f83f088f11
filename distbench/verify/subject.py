"""The run that is checked, read as far as it can be read: what is broken is kept as a reason, never raised."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from distbench.compare.evidence import Cell
from distbench.compare.run import compare
from distbench.errors import DistbenchError, RefusedError
from distbench.schema.cell import CELL, EvaluateCell
from distbench.schema.plan import Manifest
from distbench.schema.record import CellRecord, EvaluateResult
from distbench.schema.verification import Depth
from distbench.schema.wording import first_fault
from distbench.store.files import faults
from distbench.store.plain import plain_bytes
from distbench.store.run_dir import RunDir

T = TypeVar("T")
MODEL = "model/"  # where a cell keeps the model that it made


class Subject:
    """A run directory, and what could be read of it.

    `planned` are the cells of the manifest whose JSON in plan/ can be read; `unplanned` says why the others cannot.
    `damaged` holds, for every finished cell, what is wrong with its files; only cells without any damage are in
    `sealed` (their own cell.json) and `records`. `unreadable` says why a sealed file is none of these.
    """

    def __init__(self, run: RunDir, depth: Depth = "full") -> None:
        self.run, self.depth = run, depth
        self.manifest: Manifest = run.manifest()
        self.planned: dict[str, Cell] = {}
        self.unplanned: dict[str, str] = {}
        for each in self.manifest.cells:
            _keep(self.planned, self.unplanned, each.id, lambda cell=each.id: self._plan(cell))  # type: ignore[misc]
        self.damaged = {name: self._faults(name) for name in self.finished}
        self.sealed: dict[str, Cell] = {}
        self.records: dict[str, CellRecord] = {}
        self.unreadable: dict[str, str] = {}
        for name in (cell for cell, why in self.damaged.items() if not why):
            folder = run.cells / name
            _keep(self.sealed, self.unreadable, name, lambda at=folder: CELL.validate_json(read(at / "cell.json")))  # type: ignore[misc]
            _keep(self.records, self.unreadable, name, lambda at=name: self._record(at))  # type: ignore[misc]

    @property
    def finished(self) -> list[str]:
        """Return the names of all finished cells on disk, planned or not."""
        return [each.name for each in entries(self.run.cells) if not each.name.startswith(".")]

    @property
    def imported(self) -> bool:
        """Whether another tool computed the results."""
        return self.manifest.imported is not None

    def title(self, cell_id: str) -> str:
        """Return how a finding names a cell: by its id and its title."""
        cell = self.planned.get(cell_id)
        return f"cells/{cell_id}" + (f" ({cell.title})" if cell else "")

    def evaluations(self) -> Iterator[tuple[str, EvaluateCell, CellRecord, EvaluateResult]]:
        """Yield (id, cell, record, result) of every planned evaluation that is finished and intact."""
        for name, record in self.records.items():
            cell, result = self.planned.get(name), record.result
            if isinstance(cell, EvaluateCell) and isinstance(result, EvaluateResult):
                yield name, cell, record, result

    @cached_property
    def compared(self) -> dict[str, Any] | DistbenchError:
        """Return what `compare` computes from the cells now, as JSON; or the error that it ends with."""
        try:
            found: dict[str, Any] = json.loads(compare(self.run).model_dump_json())
        except DistbenchError as error:
            return error
        return found

    def _plan(self, cell_id: str) -> Cell:
        path = self.run.path / "plan" / f"{cell_id}.json"
        if Path(cell_id).name != cell_id:
            raise RefusedError(f"{cell_id!r} is no id of a cell")
        return CELL.validate_json(read(path))

    def _record(self, cell_id: str) -> CellRecord:
        return CellRecord.model_validate_json(read(self.run.cells / cell_id / "record.json"))

    def _faults(self, name: str) -> list[str]:
        folder = self.run.cells / name
        if is_link(folder):
            return ["the cell is a link to somewhere else"]
        if not folder.is_dir():
            return ["not a folder"]
        return list(faults(folder, skip=_is_weight if self.depth == "quick" else None))


def _is_weight(name: str) -> bool:
    """Say whether a file of a cell belongs to a made model: gigabytes that no verdict is computed from."""
    return name.startswith(MODEL)


def _keep(found: dict[str, T], why: dict[str, str], key: str, read_it: Callable[[], T]) -> None:
    try:
        found[key] = read_it()
    except RefusedError as error:
        why[key] = str(error)
    except OSError as error:
        why[key] = f"cannot be read: {os.strerror(error.errno or 0)}"
    except ValidationError as error:
        why[key] = f"damaged, or of another version of distbench: at {first_fault(error)}"


def read(path: Path) -> bytes:
    """Return what a plain file holds. A link, a pipe or a device is refused: it may be anything, or never end."""
    if path.is_symlink():
        raise RefusedError(f"{path.name} is a link")
    return plain_bytes(path)


def entries(folder: Path) -> list[Path]:
    """Return what lies in a folder of the run, by name; nothing where there is no such folder."""
    return sorted(folder.iterdir()) if folder.is_dir() and not is_link(folder) else []


def is_link(path: Path) -> bool:
    """Say whether a path is a symbolic link."""
    return path.is_symlink()
