"""Earlier records: the content cache and finished runs, with a small index so that thousands are read at once.

The index is a copy of what stands in records. Where it is missing, damaged or of another version it is made again.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter

from distbench.errors import EnvironmentFault
from distbench.plan.estimates.past import Past, read_past
from distbench.store.cache import Cache
from distbench.store.files import write_text
from distbench.store.run_dir import RunDir

INDEX_VERSION = 1
MEASURED = "measured"  # measurements and probes are in no cache: their rows are kept when a run ends
MOST_KEPT = 2_000


@dataclass(frozen=True, slots=True)
class Index:
    """A file of rows. `skipped`: cells that tell nothing, such as those of an older version."""

    rows: list[Past] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    version: int = INDEX_VERSION


INDEX: TypeAdapter[Index] = TypeAdapter(Index)


def read_history(cache: Cache, runs: Sequence[Path] = ()) -> list[Past]:
    """Return a row for each finished cell of the cache, for each measurement made here, and for each cell of `runs`.

    A cell that is in several places counts once; what is no record of this version is passed over.
    """
    rows = {row.id: row for row in (*_kept(cache), *_cached(cache))}
    for path in runs:
        run = RunDir.existing(path)
        rows |= {row.id: row for row in finished(run)}
    return list(rows.values())


def finished(run: RunDir) -> list[Past]:
    """Return the rows of a run's finished cells."""
    folders = (run.cells / cell.id for cell in run.manifest().cells)
    return [row for folder in folders if folder.is_dir() and (row := read_past(folder)) is not None]


def remember(cache: Cache, run: RunDir) -> None:
    """Keep the rows of a run's measurements, which the cache does not hold."""
    keep(cache, [row for row in finished(run) if row.kind == "measure"])


def keep(cache: Cache, new: Sequence[Past]) -> None:
    """Keep rows for later plans. A cache that cannot be written is fine."""
    if new:
        rows = {row.id: row for row in (*_kept(cache), *new)}
        _write(_place(cache, MEASURED), Index(list(rows.values())[-MOST_KEPT:]))


def _cached(cache: Cache) -> list[Past]:
    """Return the rows of the cached cells: those of the index, and those that came since."""
    here = _names(cache.root / "cells")
    place = _place(cache, "cells")
    index = _read(place)
    rows = [row for row in index.rows if row.id in here]
    skipped = [name for name in index.skipped if name in here]
    fresh = here - {row.id for row in rows} - set(skipped)
    for name in sorted(fresh):
        row = read_past(cache.path("cells", name))
        skipped += [name] if row is None else []
        rows += [row] if row is not None else []
    if fresh or len(rows) + len(skipped) < len(index.rows) + len(index.skipped):
        _write(place, Index(rows, skipped))
    return rows


def _kept(cache: Cache) -> list[Past]:
    return _read(_place(cache, MEASURED)).rows


def _names(folder: Path) -> set[str]:
    try:
        return {entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")}
    except OSError:
        return set()


def _place(cache: Cache, name: str) -> Path:
    return cache.root / "history" / f"{name}.json"


def _read(path: Path) -> Index:
    try:
        index = INDEX.validate_json(path.read_bytes())
    except (OSError, ValueError):  # it can be made again
        return Index()
    return index if index.version == INDEX_VERSION else Index()


def _write(path: Path, index: Index) -> None:
    with contextlib.suppress(EnvironmentFault, OSError):  # an index that cannot be kept costs time, and nothing else
        path.parent.mkdir(parents=True, exist_ok=True)
        write_text(path, INDEX.dump_json(index).decode() + "\n")
