"""Folders that distbench itself wrote: found and hashed."""

from __future__ import annotations

from pathlib import Path

from distbench.errors import EnvironmentFault
from distbench.hashing import digest, file_digest
from distbench.protocols import Resolved
from distbench.schema.places import at_home


def resolve_saved(source: str, directory: Path, files: tuple[str, ...]) -> Resolved:
    """Find a folder that holds all of `files`; its identity is their content."""
    path = at_home(source)
    path = (path if path.is_absolute() else directory / path).absolute()
    if not path.is_dir():
        raise EnvironmentFault(f"no model folder at {path}")
    for name in files:
        if not (path / name).is_file():
            raise EnvironmentFault(f"{path / name} is missing")
    return Resolved(path, digest({name: file_digest(path / name) for name in files}), source)
