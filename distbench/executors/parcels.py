"""Folders and files on their way between machines that share no disk: a tar file in pieces, known by its content."""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench.errors import RefusedError
from distbench.hashing import digest, file_digest
from distbench.store.files import disk_faults

PIECE = 8 << 20  # bytes; a piece is in memory as a whole


@dataclass(frozen=True)
class Parcel:
    """A folder or a file that a node can fetch. `pieces`: references to bytes that the cluster keeps."""

    key: str
    name: str
    pieces: tuple[Any, ...]


def content(path: Path) -> str:
    """Return the hash of a file, or of all files of a folder with their names."""
    if path.is_file():
        return digest(["file", path.name, file_digest(path)])
    files = sorted(each for each in path.rglob("*") if each.is_file())
    return digest(["folder", path.name, [[each.relative_to(path).as_posix(), file_digest(each)] for each in files]])


def wrap(path: Path, put: Callable[[bytes], Any]) -> Parcel:
    """Return a parcel; `put` keeps a piece and returns its reference. Links are followed: it stands alone."""
    return Parcel(content(path), path.name, tuple(put(piece) for piece in pieces(path)))


def pieces(path: Path) -> Iterator[bytes]:
    """Yield a folder or a file as the pieces of a tar file."""
    with tempfile.TemporaryFile() as file:
        with tarfile.open(fileobj=file, mode="w", dereference=True) as tar:
            tar.add(path, arcname=path.name)
        file.seek(0)
        while piece := file.read(PIECE):
            yield piece


def unwrap(arriving: Iterable[bytes], folder: Path) -> None:
    """Write what `pieces` yielded into `folder`. Raises RefusedError for an archive that would write elsewhere."""
    with disk_faults(folder), tempfile.TemporaryFile() as file:
        for piece in arriving:
            file.write(piece)
        file.seek(0)
        try:
            with tarfile.open(fileobj=file, mode="r") as tar:
                tar.extractall(folder, filter="data")
        except tarfile.TarError as error:
            raise RefusedError(f"what another machine sent cannot be unpacked into {folder}: {error}") from error
