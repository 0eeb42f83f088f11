"""Finished cells from other machines become cells of the run: looked at first, never taken on a machine's word."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from distbench.executors.parcels import unwrap
from distbench.schema.record import CellRecord
from distbench.store.files import damage, disk_faults, write_text
from distbench.store.run_dir import RunDir

SEEN_WITHIN = 10.0  # seconds until a network file system shows here what was renamed there


class Arrivals:
    """Takes pieces of cells as they come."""

    def __init__(self, run: RunDir) -> None:
        self.run = run
        self._files: dict[str, Path] = {}

    def piece(self, cell_id: str, piece: bytes) -> None:
        """Keep a piece of a cell; the first begins it anew."""
        if cell_id not in self._files:
            self._files[cell_id] = self.run.workplace(cell_id) / "parcel.tar"
        with disk_faults(self._files[cell_id]), self._files[cell_id].open("ab") as file:
            file.write(piece)

    def forget(self, cell_id: str) -> None:
        """Drop the pieces of a cell that will be sent again."""
        if path := self._files.pop(cell_id, None):
            shutil.rmtree(path.parent, ignore_errors=True)

    def fault(self, cell_id: str) -> str | None:
        """Say why a cell that is said to be finished is not; None: it is a finished cell of the run."""
        if cell_id in self._files:
            return self._commit(cell_id)
        folder, deadline = self.run.cells / cell_id, time.monotonic() + SEEN_WITHIN
        while (why := damage(folder)) and time.monotonic() < deadline:
            time.sleep(0.2)
        return f"it was committed on its node, and is not intact here: {why}" if why else None

    def _commit(self, cell_id: str) -> str | None:
        tar = self._files.pop(cell_id)
        place = tar.parent
        try:
            with tar.open("rb") as file:
                unwrap(iter(lambda: file.read(1 << 20), b""), place / "arrived")
            sealed = place / "arrived" / cell_id
            if why := damage(sealed):
                return f"it did not arrive intact: {why}"
            record = CellRecord.model_validate_json((sealed / "record.json").read_bytes())
            if record.cell_id != cell_id:
                return f"cell {record.cell_id} arrived in its place"
            write_text(sealed / "cell.json", self.run.cell(cell_id).model_dump_json(indent=1) + "\n")  # our paths again
            self.run.commit(cell_id, sealed)
        finally:
            shutil.rmtree(place, ignore_errors=True)
        return None

    def log(self, cell_id: str, text: bytes) -> None:
        """Keep the log of a job that ran elsewhere."""
        path = self.run.path / "logs" / f"{cell_id}.log"
        with disk_faults(path), path.open("ab") as file:
            file.write(text)
