"""One run on disk: manifest, journal, sealed cells, failed attempts. One writer at a time."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from distbench import secrets
from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.schema.cell import CELL, EvaluateCell, MakeCell, MeasureCell
from distbench.schema.left_out import LEFT_OUT, LeftOut
from distbench.schema.plan import Manifest, PlannedCell
from distbench.schema.record import CellRecord
from distbench.schema.wording import first_fault, harmless
from distbench.store.crash import moment
from distbench.store.files import damage, disk_faults, incomplete, link_tree, seal, sync_folder, write_text
from distbench.store.hold import CLAIMS, LOCK, LOCK_HOLDER, Hold, hold_run
from distbench.store.leftovers import OWNER, is_temporary, sweep
from distbench.store.plain import plain_bytes

T = TypeVar("T")
OWN = {LOCK, LOCK_HOLDER, CLAIMS, "cells", "logs", "plan"}  # what a run holds before its manifest is written


def _is_own(name: str) -> bool:
    return name in OWN or is_temporary(name)


def now() -> str:
    """Return the UTC wall clock as a label."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class RunDir:
    """A run directory. Reading needs no lock; every writer holds `lock()`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells = path / "cells"

    # -- opening ------------------------------------------------------------------------------------------------

    @classmethod
    def prepare(cls, path: Path) -> RunDir:
        """Create the folder (or accept an existing run or empty folder) before any model is touched."""
        if path.exists() and not path.is_dir():
            raise EnvironmentFault(f"{path} is a file; --out names a directory")
        if path.is_dir() and not (path / "manifest.json").exists() and not all(_is_own(p.name) for p in path.iterdir()):
            raise UsageError(f"{path} is not empty and is not a distbench run; name a new directory")
        with disk_faults(path):
            (path / "cells").mkdir(parents=True, exist_ok=True)
            (path / "logs").mkdir(exist_ok=True)
            probe = path / f".writable.{OWNER}-{os.getpid()}"
            probe.touch()
            probe.unlink()
        return cls(path)

    @classmethod
    def existing(cls, path: Path) -> RunDir:
        """Open a run for reading."""
        if not path.exists():
            raise UsageError(f"no run at {path} (working directory {Path.cwd()})")
        if not (path / "manifest.json").is_file():
            raise UsageError(f"{path} is not a distbench run: it has no manifest.json")
        return cls(path)

    def lock(self) -> Hold:
        """Take the writer's lock at once, or say who holds it."""
        hold = hold_run(self.path)
        self._sweep()
        return hold

    def _sweep(self) -> None:
        """Remove what a killed process left half-written. Only the lock's holder may."""
        for leftover in self.cells.glob(".tmp-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        for folder in (self.path, self.path / "plan", self.path / "logs", *(self.path / "attempts").glob("*")):
            sweep(folder)
        for scratch in (self.path / "scratch").glob("*"):
            if (self.cells / scratch.name).is_dir():  # killed between the commit and the clearing up
                shutil.rmtree(scratch, ignore_errors=True)
        self._end_the_last_line()

    def _end_the_last_line(self) -> None:
        """End a line of the journal that a full disk or a kill cut off, so that the next one stands by itself."""
        journal = self.path / "journal.jsonl"
        if not journal.exists() or not journal.stat().st_size:
            return
        with disk_faults(journal), journal.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":
                file.write(b"\n")

    # -- manifest and journal -----------------------------------------------------------------------------------

    def write_manifest(self, manifest: Manifest) -> None:
        """Write the manifest, atomically."""
        write_text(self.path / "manifest.json", manifest.model_dump_json(indent=1) + "\n")

    def manifest(self) -> Manifest:
        """Read the manifest; a newer schema or damaged content is refused."""
        path = self.path / "manifest.json"
        try:
            return Manifest.model_validate_json(plain_bytes(path), strict=False)
        except OSError as error:
            raise RefusedError(f"{path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise RefusedError(
                f"{path} is damaged, or of another version of distbench: at {first_fault(error)}"
            ) from None

    def log(self, event: str, **fields: Any) -> None:
        """Append to the journal. Losing it loses nothing."""
        line = json.dumps({"at": now(), "event": event, **_harmless(fields)}, ensure_ascii=False)
        journal = self.path / "journal.jsonl"
        moment("journal.begin", journal)
        with disk_faults(journal), journal.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        moment("journal.done", journal)

    # -- cells --------------------------------------------------------------------------------------------------

    def workplace(self, cell_id: str) -> Path:
        """Return a fresh folder in which a cell is built; it becomes visible only by `commit`."""
        folder = self.cells / f".tmp-{cell_id}.{OWNER}-{os.getpid()}"
        shutil.rmtree(folder, ignore_errors=True)
        with disk_faults(folder):
            folder.mkdir(parents=True)
        return folder

    def commit(self, cell_id: str, folder: Path) -> Path:
        """Seal `folder` and make it the finished cell by one rename."""
        target = self.cells / cell_id
        with disk_faults(target):
            moment("commit.begin", target)
            seal(folder)
            moment("commit.sealed", target)
            folder.rename(target)
            moment("commit.renamed", target)
            sync_folder(self.cells)
        moment("commit.done", target)
        shutil.rmtree(self.scratch(cell_id), ignore_errors=True)
        return target

    def scratch(self, cell_id: str) -> Path:
        """Return a cell's folder for what a later attempt goes on from; it is gone once the cell is committed."""
        return self.path / "scratch" / cell_id

    def adopt(self, cell_id: str, sealed: Path) -> bool:
        """Take a sealed cell from the cache into this run; False where it left the cache meanwhile."""
        folder = self.workplace(cell_id)
        folder.rmdir()
        try:
            link_tree(sealed, folder)
        except EnvironmentFault:
            shutil.rmtree(folder, ignore_errors=True)
            if incomplete(sealed):
                return False
            raise
        if incomplete(folder):
            shutil.rmtree(folder, ignore_errors=True)
            return False
        with disk_faults(folder):
            moment("adopt.linked", folder)
            folder.rename(self.cells / cell_id)
            moment("adopt.renamed", self.cells / cell_id)
            sync_folder(self.cells)
        return True

    def is_done(self, cell_id: str) -> bool:
        """Say whether a cell is finished. A damaged one is refused, never silently made again."""
        folder = self.cells / cell_id
        if not folder.is_dir():
            return False
        if why := damage(folder):
            raise RefusedError(f"cell {cell_id} of {self.path} is damaged: {why}; delete {folder} to run it again")
        return True

    def cell(self, cell_id: str) -> MakeCell | EvaluateCell | MeasureCell:
        """Read a planned cell's JSON."""
        path = self.path / "plan" / f"{cell_id}.json"
        try:
            cell = CELL.validate_json(plain_bytes(path))
        except OSError as error:
            raise RefusedError(f"{path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise RefusedError(f"{path} is not a cell of this version: at {first_fault(error)}") from None
        return _own(path, cell, cell.id, cell_id)

    def write_plan(self, cells: Sequence[MakeCell | EvaluateCell | MeasureCell]) -> None:
        """Write every cell's JSON: what `python -m distbench.cell` reads."""
        folder = self.path / "plan"
        with disk_faults(folder):
            folder.mkdir(exist_ok=True)
        for cell in cells:
            write_text(folder / f"{cell.id}.json", cell.model_dump_json(indent=1) + "\n")

    def extend_plan(self, cells: Sequence[MakeCell | EvaluateCell | MeasureCell]) -> None:
        """Add cells to the plan of a run at work: first what a worker reads, then the manifest that lists them."""
        manifest = self.manifest()
        known = {cell.id for cell in manifest.cells}
        new = [cell for cell in cells if cell.id not in known]
        if new:
            self.write_plan(new)
            added = [PlannedCell(id=c.id, kind=c.kind, title=c.title, added=True) for c in new]
            self.write_manifest(manifest.model_copy(update={"cells": [*manifest.cells, *added]}))

    def record(self, cell_id: str) -> CellRecord:
        """Read a finished cell's record."""
        path = self.cells / cell_id / "record.json"
        try:
            record = CellRecord.model_validate_json(plain_bytes(path))
        except OSError as error:
            raise RefusedError(f"{path} cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise RefusedError(f"{path} is not a record of this version: at {first_fault(error)}") from None
        return _own(path, record, record.cell_id, cell_id)

    def left_out(self) -> LeftOut | None:
        """Return what the last start with a time limit left out; None where there was none."""
        path = self.path / LEFT_OUT
        try:
            return LeftOut.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValidationError) as error:
            raise RefusedError(f"{path} is damaged, or of another version of distbench") from error

    def fail(self, cell_id: str, error: dict[str, Any]) -> None:
        """Keep what is known about a failed attempt."""
        folder = self.path / "attempts" / cell_id
        with disk_faults(folder):
            folder.mkdir(parents=True, exist_ok=True)
            number = len(list(folder.glob("*.json"))) + 1
        write_text(
            folder / f"{number}.json",
            json.dumps({"at": now(), **_harmless(error)}, indent=1, ensure_ascii=False) + "\n",
        )

    def last_failure(self, cell_id: str) -> str | None:
        """Return the newest failed attempt's one-line message."""
        folder = self.path / "attempts" / cell_id
        numbered = [path for path in folder.glob("*.json") if path.stem.isdecimal()] if folder.is_dir() else []
        if not numbered:
            return None
        path = max(numbered, key=lambda path: int(path.stem))
        try:
            attempt = json.loads(plain_bytes(path))
        except (OSError, ValueError, RecursionError):
            raise RefusedError(f"{path} is not the record of an attempt") from None
        return str(attempt.get("message") if isinstance(attempt, dict) else None)


def _own(path: Path, content: T, said: str, wanted: str) -> T:
    """Return what a file holds, if it is about the cell that it is filed under."""
    if said != wanted:
        raise RefusedError(f"{path} is about cell {harmless(said)}, not about {harmless(wanted)}")
    return content


def _harmless(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields whose texts hold no secret: a message may quote what a server or a library said."""
    return {name: secrets.text(value) if isinstance(value, str) else value for name, value in fields.items()}
