"""Durable files: a reader sees the old content or the new one, never a half; what was acknowledged survives a kill."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from distbench.errors import EnvironmentFault
from distbench.hashing import file_digest
from distbench.store.crash import moment
from distbench.store.leftovers import OWNER, sweep, temporary_folder

SUMS = "SHA256SUMS"
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO}
_swept: set[Path] = set()  # folders that this process has tidied: once is enough, and a plan has thousands of files


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


def sync_file(path: Path) -> None:
    """Force a file's content to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a whole file atomically: temporary file beside it, fsync, one rename, fsync of the folder.

    A device or a pipe, such as /dev/stdout, is written into: a rename would put a file in its place.
    """
    with writing(path) as file, file.open("w", encoding="utf-8", errors="surrogatepass") as opened:
        moment("write.opened", path)
        opened.write(text)


def is_device(path: Path) -> bool:
    """Say whether a path is a device or a pipe: something that is written into, and that no file may replace.

    So is an open file of a process under its name in /proc, which is what /dev/stdout leads to.
    """
    step = path
    while step.is_symlink():
        if step.is_relative_to("/proc"):
            return True
        step = step.parent / step.readlink()
    return path.exists() and not path.is_file() and not path.is_dir()


@contextlib.contextmanager
def writing(path: Path) -> Iterator[Path]:
    """Give a file to write what becomes `path`: whole or not at all; a device or a pipe gets it when it is complete.

    Writers of some formats seek in what they write, which a pipe cannot; so it goes through a temporary folder.
    """
    if not is_device(path):
        with replacing(path) as temporary:
            yield temporary
        return
    with temporary_folder("output") as folder:
        yield folder / "whole"
        with disk_faults(path), (folder / "whole").open("rb") as whole, path.open("wb") as device:
            shutil.copyfileobj(whole, device)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give a temporary name beside `path`: the file written there becomes `path` at the end, whole, or not at all."""
    temporary = path.with_name(f".{path.name}.{OWNER}-{os.getpid()}.tmp")
    if path.parent not in _swept:
        sweep(path.parent)
        _swept.add(path.parent)
    with disk_faults(path):
        moment("write.begin", path)
        try:
            yield temporary
            moment("write.written", path)
            sync_file(temporary)
            moment("write.synced", path)
            temporary.replace(path)
            moment("write.renamed", path)
        finally:
            temporary.unlink(missing_ok=True)
        sync_folder(path.parent)
    moment("write.done", path)


@contextlib.contextmanager
def disk_faults(path: Path, reason: Callable[[Exception], str | None] | None = None) -> Iterator[None]:
    """Turn an OSError while writing `path` into one line that says what is missing.

    `reason`: says which exceptions are the disk's, where other things than writing happen inside.
    """
    try:
        yield
    except Exception as error:
        why = reason(error) if reason is not None else _of_the_system(error)
        if why is None:
            raise
        free = ""
        with contextlib.suppress(OSError):
            free = f" ({shutil.disk_usage(path.parent).free >> 20} MiB free)"
        raise EnvironmentFault(f"{why} writing {path}{free}") from error


def _of_the_system(error: Exception) -> str | None:
    if not isinstance(error, OSError):
        return None
    return os.strerror(error.errno) if error.errno else str(error).strip().splitlines()[0]


def of_the_disk(error: Exception) -> str | None:
    """Return why the system took no more bytes, where an exception, also a library's own, says that it did not."""
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno in DISK_FULL else None
    text = str(error)
    if number := re.search(r"\(os error (\d+)\)", text):  # safetensors
        return os.strerror(int(number[1])) if int(number[1]) in DISK_FULL else None
    if "inline_container" in text or "PytorchStreamWriter" in text:  # torch forgets the reason
        return "A file cannot be written whole (disk full, quota or limit of its size)"
    return None


def seal(folder: Path) -> None:
    """Write SHA256SUMS over every file of `folder` and force everything to disk."""
    lines = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and p.name != SUMS):
        moment("seal.file", path)
        sync_file(path)
        lines.append(f"{file_digest(path)}  {path.relative_to(folder).as_posix()}\n")
    write_text(folder / SUMS, "".join(lines))
    for sub in (p for p in folder.rglob("*") if p.is_dir()):
        sync_folder(sub)
    sync_folder(folder)
    moment("seal.done", folder)


def damage(folder: Path) -> str | None:
    """Return why a sealed folder is not what was sealed, or None where it is intact."""
    return next(faults(folder), None)


def faults(folder: Path, skip: Callable[[str], bool] | None = None) -> Iterator[str]:
    """Yield everything that makes a sealed folder differ from what was sealed.

    `skip`: files that must be there, but whose content is not read. A link is a fault: what it leads to can change
    while the folder does not.
    """
    sums = sums_of(folder)
    if isinstance(sums, str):
        yield sums
        return
    links = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_symlink()}
    yield from (f"{name} is a link" for name in sorted(links))
    for name, expected in sums.items():
        if not links.isdisjoint({name, *(each.as_posix() for each in Path(name).parents)}):
            continue
        if not (folder / name).is_file():
            yield f"{name} is missing"
        elif not (skip is not None and skip(name)) and (why := _changed(folder / name, expected)):
            yield f"{name} {why}"
    present = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir() and p.name != SUMS}
    yield from (f"{name} was added after the cell was sealed" for name in sorted(present - set(sums) - links))


def seal_of(folder: Path) -> str | None:
    """Return the first 16 hex digits of the SHA-256 of a sealed folder's sums; None where they cannot be read."""
    path = folder / SUMS
    try:
        return file_digest(path)[:16] if path.is_file() else None
    except OSError:
        return None


def incomplete(folder: Path) -> str | None:
    """Return which file of a sealed folder is missing, or None; contents are not read."""
    sums = sums_of(folder)
    if isinstance(sums, str):
        return sums
    return next((f"{name} is missing" for name in sums if not (folder / name).is_file()), None)


def _changed(path: Path, expected: str) -> str | None:
    try:
        return None if file_digest(path) == expected else "does not match its SHA-256"
    except OSError as error:
        return f"cannot be read: {error.strerror}"


def sums_of(folder: Path) -> dict[str, str] | str:
    """Return the SHA-256 of each file by its name, or what is wrong with the list."""
    sums: dict[str, str] = {}
    path = folder / SUMS
    if path.is_symlink() or not path.is_file():
        return f"{SUMS} is missing"
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        return f"{SUMS} cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        return f"{SUMS} is not text"
    for line in lines:
        expected, _, name = line.partition("  ")
        if not name or name in sums or ".." in Path(name).parts or Path(name).is_absolute():
            return f"{SUMS} names {name!r}"
        sums[name] = expected
    return sums


def link_tree(source: Path, target: Path) -> None:
    """Copy a sealed tree by hard links (its files are never modified); real copies across file systems."""

    def link(src: str, dst: str) -> str:
        try:
            os.link(src, dst)
        except OSError:
            shutil.copy2(src, dst)
            sync_file(Path(dst))
        return dst

    with disk_faults(target):
        shutil.copytree(source, target, copy_function=link)
        for sub in (target, *(p for p in target.rglob("*") if p.is_dir())):
            sync_folder(sub)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a folder so that it appears whole, on the disk, or not at all."""
    temporary = target.with_name(f".{target.name}.{OWNER}-{os.getpid()}.tmp")
    with disk_faults(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        sweep(target.parent)
        try:
            shutil.copytree(source, temporary)
            for path in temporary.rglob("*"):
                (sync_folder if path.is_dir() else sync_file)(path)
            moment("copy.written", target)
            temporary.rename(target)
            moment("copy.renamed", target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        sync_folder(target.parent)
