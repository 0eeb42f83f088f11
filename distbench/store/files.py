"""Durable files: a reader sees the old content or the new one, never a half; what was acknowledged survives a kill."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from distbench.errors import EnvironmentFault
from distbench.hashing import file_digest

SUMS = "SHA256SUMS"


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:  # some network file systems cannot fsync a directory
        if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a whole file atomically: temporary file beside it, fsync, one rename, fsync of the folder.

    A device or a pipe, such as /dev/stdout, is written into: a rename would put a file in its place.
    """
    if path.exists() and not path.is_file() and not path.is_dir():
        with disk_faults(path):
            path.write_text(text, encoding="utf-8", errors="surrogatepass")
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with disk_faults(path):
        try:
            with temporary.open("w", encoding="utf-8", errors="surrogatepass") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)


@contextlib.contextmanager
def disk_faults(path: Path) -> Iterator[None]:
    """Turn an OSError while writing `path` into one line that says what is missing."""
    try:
        yield
    except OSError as error:
        free = ""
        with contextlib.suppress(OSError):
            free = f" ({shutil.disk_usage(path.parent).free >> 20} MiB free)"
        raise EnvironmentFault(f"{os.strerror(error.errno or 0)} writing {path}{free}") from error


def seal(folder: Path) -> None:
    """Write SHA256SUMS over every file of `folder` and force everything to disk."""
    lines = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS):
        with path.open("rb") as file:
            os.fsync(file.fileno())
        lines.append(f"{file_digest(path)}  {path.relative_to(folder).as_posix()}\n")
    write_text(folder / SUMS, "".join(lines))
    for sub in (p for p in folder.rglob("*") if p.is_dir()):
        sync_folder(sub)


def damage(folder: Path) -> str | None:
    """Return why a sealed folder is not what was sealed, or None where it is intact."""
    try:
        lines = (folder / SUMS).read_text(encoding="utf-8").splitlines()
    except OSError:
        return f"{SUMS} is missing"
    listed = set()
    for line in lines:
        expected, _, name = line.partition("  ")
        path = folder / name
        if not name or ".." in Path(name).parts or Path(name).is_absolute():
            return f"{SUMS} names {name!r}"
        if not path.is_file():
            return f"{name} is missing"
        if file_digest(path) != expected:
            return f"{name} does not match its SHA-256"
        listed.add(name)
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name != SUMS}
    extra = present - listed
    return f"{min(extra)} was added after the cell was sealed" if extra else None


def link_tree(source: Path, target: Path) -> None:
    """Copy a sealed tree by hard links (its files are never modified); real copies across file systems."""

    def link(src: str, dst: str) -> str:
        try:
            os.link(src, dst)
        except OSError:
            shutil.copy2(src, dst)
        return dst

    with disk_faults(target):
        shutil.copytree(source, target, copy_function=link)
