"""A job on a machine that does not see the run directory: what it reads is brought, what it makes is sent back.

Its cells run in a run directory of their own, which holds only them and is gone with the job. Paths in them are
changed to where the files were brought: no path enters a cell's id.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from distbench.errors import RefusedError
from distbench.executors.job import Event
from distbench.executors.parcels import Parcel, content, pieces, unwrap
from distbench.schema.cell import CELL, EvaluateCell, MakeCell, MeasureCell
from distbench.store.cache import Cache
from distbench.store.files import write_text
from distbench.store.leftovers import sweep, temporary_folder

Cell = MakeCell | EvaluateCell | MeasureCell
INPUTS = "inputs"  # the kind of what is brought, in the cache
MOST_LOG = 1 << 20  # bytes of a log that are sent back: its end


@dataclass(frozen=True)
class Input:
    """A path that a cell reads, and how much lies there: another machine may have something else in that place."""

    path: str
    files: int
    bytes: int

    @classmethod
    def of(cls, path: Path) -> Input:
        """Look at a path."""
        found = [path] if path.is_file() else [each for each in path.rglob("*") if each.is_file()]
        return cls(str(path), len(found), sum(each.stat().st_size for each in found))


@dataclass(frozen=True)
class Supplies:
    """Everything that a job reads: its cells, the finished cells they need (by id), and files (by their path)."""

    cells: tuple[str, ...]  # each a cell's JSON
    needs: Mapping[str, Parcel]
    files: Mapping[str, Parcel]


def inputs_of(cell: Cell) -> list[Path]:
    """Return the files and folders of this machine that a cell names; instruments of a meter stay where they are."""
    found: dict[str, None] = {}
    for text in _strings(cell.model_dump(mode="json", exclude={"meters"})):
        if text.startswith("/") and len(Path(text).parts) > 2 and Path(text).exists():
            found[text] = None
    return [Path(text) for text in found]


def visible(inputs: Iterable[Input]) -> bool:
    """Say whether this machine has all of them."""
    return all(Path(each.path).exists() and Input.of(Path(each.path)) == each for each in inputs)


def _strings(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from _strings(each)
    elif isinstance(value, list):
        for each in value:
            yield from _strings(each)


def _moved(value: Any, places: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return places.get(value, value)
    if isinstance(value, dict):
        return {key: _moved(each, places) for key, each in value.items()}
    return [_moved(each, places) for each in value] if isinstance(value, list) else value


class Workshop:
    """A run directory on this machine, for one job."""

    def __init__(self, ids: Iterable[str], supplies: Supplies | None, fetch: Callable[[Any], bytes]) -> None:
        """`fetch` returns a piece of a parcel, by its reference."""
        assert supplies is not None, "nothing can be done here without them"
        self.ids, self.supplies, self.fetch = list(ids), supplies, fetch
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        """Make the folder, and remove what killed workers of this machine left of theirs and of what was brought."""
        sweep(Cache().root / INPUTS)
        self.run = self._open.enter_context(temporary_folder("workshop"))
        with contextlib.ExitStack() as opening:
            opening.push(self._open)
            self._fill()
            opening.pop_all()
        return self

    def _fill(self) -> None:
        for name in ("plan", "cells", "logs"):
            (self.run / name).mkdir()
        places = {path: str(self._brought(parcel)) for path, parcel in self.supplies.files.items()}
        for text in self.supplies.cells:
            cell = CELL.validate_python(_moved(json.loads(text), places), strict=False)
            write_text(self.run / "plan" / f"{cell.id}.json", cell.model_dump_json(indent=1) + "\n")
        for cell_id, parcel in self.supplies.needs.items():
            (self.run / "cells" / cell_id).symlink_to(self._brought(parcel))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def _brought(self, parcel: Parcel) -> Path:
        """Return where a parcel's content lies on this machine: fetched once, kept in its cache."""

        def fetch(folder: Path) -> None:
            unwrap((self.fetch(piece) for piece in parcel.pieces), folder)
            if content(folder / parcel.name) != parcel.key:
                raise RefusedError(f"{parcel.name!r} did not arrive as it was sent")

        folder, _ = Cache().get_or_make(INPUTS, parcel.key, fetch)
        return folder / parcel.name

    def sender(self, post: Callable[[Event], None]) -> Callable[[Event], None]:
        """Return what passes events on, and a finished cell before the word that it is committed."""

        def send(event: Event) -> None:
            if event["event"] == "committed":
                for piece in pieces(self.run / "cells" / event["cell"]):
                    post({"event": "piece", "cell": event["cell"], "bytes": piece})
            post(event)

        return send

    def log(self) -> bytes:
        """Return the end of the job's log."""
        path = self.run / "logs" / f"{self.ids[0]}.log"
        return path.read_bytes()[-MOST_LOG:] if path.exists() else b""
