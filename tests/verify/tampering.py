"""Ways to change a run, as somebody would who wants another verdict, and as a disk or a mistake would."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from distbench.hashing import digest, text_digest
from distbench.store.files import seal

Rows = list[dict[str, Any]]


class Run:
    """A copy of a run, to be changed."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cells = path / "cells"

    def cell(self, title: str) -> Path:
        """Return a finished cell's folder by its title."""
        manifest = json.loads((self.path / "manifest.json").read_text("utf-8"))
        return self.cells / next(each["id"] for each in manifest["cells"] if each["title"] == title)

    @property
    def teacher(self) -> Path:
        """The teacher's answers."""
        return self.cell("big on digits")

    @property
    def student(self) -> Path:
        """A student's answers."""
        return self.cell("kd on digits")

    @property
    def measured(self) -> Path:
        """The measurement."""
        return self.cell("measure big, kd, small")

    def plan(self, folder: Path) -> Path:
        """Return the planned JSON of a cell."""
        return self.path / "plan" / f"{folder.name}.json"

    def edit_manifest(self, change: Callable[[Any], None], *, suite: bool = False) -> None:
        """Change the manifest; `suite`: with the digest of its suite made right again."""

        def both(manifest: Any) -> None:
            change(manifest)
            if suite:
                manifest["suite_digest"] = digest(manifest["suite"])

        edit(self.path / "manifest.json", both)

    def edit_record(self, folder: Path, change: Callable[[Any], None]) -> None:
        """Change a record and seal it anew."""
        edit(folder / "record.json", change)
        seal(folder)

    def edit_samples(
        self, folder: Path, change: Callable[[Rows], Rows | None], *, told: bool = False, said: bool = False
    ) -> None:
        """Change samples and seal them anew. `told`: the record states their number and mean; `said`: their digest."""
        path = folder / "samples.parquet"
        table = pq.read_table(path)
        rows = table.to_pylist()
        rows = change(rows) or rows
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
        record = json.loads((folder / "record.json").read_text("utf-8"))
        if told:
            scores = [row["score"] for row in rows if row["score"] is not None]
            record["result"]["metrics"][0] |= {"n": len(rows), "mean": sum(scores) / len(scores)}
        if said:
            record["result"]["answers_digest"] = text_digest(row["answer_digest"] for row in rows)
        (folder / "record.json").write_text(json.dumps(record), "utf-8")
        seal(folder)


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Change a JSON file."""
    found = json.loads(path.read_text("utf-8"))
    change(found)
    path.write_text(json.dumps(found), "utf-8")


def set_in(*keys: Any, to: Any) -> Callable[[Any], None]:
    """Return a change that sets one value."""

    def change(found: Any) -> None:
        for key in keys[:-1]:
            found = found[key]
        found[keys[-1]] = to

    return change


def flip(path: Path) -> None:
    """Flip one bit in the middle of a file. It is written anew: the cache shares the old one."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


def copied(sound: Path, place: Path) -> Run:
    """Return a copy of a run that may be changed."""
    return Run(Path(shutil.copytree(sound, place / "run")))
