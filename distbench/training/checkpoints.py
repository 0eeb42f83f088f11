"""Checkpoints to go on from after a kill: complete or not there, and only the newest are kept.

A checkpoint counts once its seal, a file with the sizes of all others, is there; the seal is written last, by a rename.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from distbench.errors import EnvironmentFault
from distbench.store.crash import moment
from distbench.store.files import disk_faults, of_the_disk, sync_file, sync_folder

SEAL = "complete.json"
KEEP = 2
PREFIX = "checkpoint-"


def newest(folder: Path) -> Path | None:
    """Return the newest complete checkpoint; incomplete ones are deleted."""
    found = []
    for each in folder.glob(PREFIX + "*"):
        if _is_complete(each):
            found.append(each)
        else:
            shutil.rmtree(each, ignore_errors=True)
    return max(found, key=step_of, default=None)


def complete(folder: Path) -> list[Path]:
    """Return the complete checkpoints, oldest first."""
    return sorted((each for each in folder.glob(PREFIX + "*") if _is_complete(each)), key=step_of)


def step_of(checkpoint: Path) -> int:
    """Return the step a checkpoint was taken after."""
    return int(checkpoint.name.removeprefix(PREFIX))


def seal(checkpoint: Path, facts: dict[str, Any]) -> None:
    """Declare a checkpoint complete and delete those that are too old."""
    files = [file for file in checkpoint.rglob("*") if file.is_file()]
    for file in files:
        sync_file(file)
    content = {"files": {str(file.relative_to(checkpoint)): file.stat().st_size for file in files}, "facts": facts}
    with disk_faults(checkpoint):
        part = checkpoint / (SEAL + ".part")
        part.write_text(json.dumps(content), encoding="utf-8")
        moment("checkpoint.written", checkpoint)
        sync_file(part)
        sync_folder(checkpoint)
        moment("checkpoint.synced", checkpoint)
        part.rename(checkpoint / SEAL)
        moment("checkpoint.renamed", checkpoint)
        sync_folder(checkpoint)
        sync_folder(checkpoint.parent)
    for old in complete(checkpoint.parent)[:-KEEP]:
        shutil.rmtree(old, ignore_errors=True)


class Pulse:
    """How far a training is, noted about once a second in its folder: after a kill it tells what was lost."""

    FILE, SECONDS = "reached", 1.0

    def __init__(self, folder: Path) -> None:
        self.file, self._noted = folder / self.FILE, 0.0

    def reached(self, step: int) -> None:
        """Note a step. It is a note only: where it cannot be written, a resumed training says less."""
        now = time.monotonic()
        if now - self._noted >= self.SECONDS:
            self._noted = now
            with contextlib.suppress(OSError):
                self.file.write_text(str(step), encoding="ascii")

    def last(self) -> int | None:
        """Return the step that a killed attempt had reached; None: there was none, or it did not say."""
        try:
            return int(self.file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None


def facts_of(checkpoint: Path) -> dict[str, Any]:
    """Return what was sealed with a checkpoint."""
    facts: dict[str, Any] = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))["facts"]
    return facts


def check_space(folder: Path, needed: int) -> None:
    """Raise EnvironmentFault where a checkpoint of so many bytes would not fit."""
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise EnvironmentFault(
            f"No space left on device writing {folder} (need {needed / 2**20:.0f} MiB, have {free / 2**20:.0f} MiB)"
        )


@contextmanager
def writing(folder: Path, needed: int) -> Iterator[None]:
    """Guard the writing of a checkpoint of so many bytes: a full disk is one line, whichever library met it first.

    What was half written is deleted; complete checkpoints stay.
    """
    check_space(folder, needed)
    try:
        yield
    except OSError as error:
        _clear(folder)
        with disk_faults(folder / "checkpoint"):
            raise error
    except Exception as error:  # safetensors and torch have errors of their own
        try:
            check_space(folder, needed)  # before the half of a file is gone: it is what filled the disk
        finally:
            _clear(folder)
        if (reason := of_the_disk(error)) is not None:
            raise EnvironmentFault(f"{reason} writing {folder}") from error
        raise


def _clear(folder: Path) -> None:
    """Delete what was not finished."""
    newest(folder)
    for part in folder.glob("*.part"):
        part.unlink(missing_ok=True)


def _is_complete(checkpoint: Path) -> bool:
    try:
        sizes = json.loads((checkpoint / SEAL).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, KeyError):
        return False
    return all((checkpoint / name).is_file() and (checkpoint / name).stat().st_size == n for name, n in sizes.items())
