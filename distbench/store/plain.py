"""Files of a run that somebody else may have written: plain files of a size that fits in memory, or refused."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from distbench.errors import RefusedError

LARGEST_JSON = 256 << 20  # bytes; a result of 100 students with 500 long samples each has about 100 MiB


def plain_bytes(path: Path, most: int = LARGEST_JSON) -> bytes:
    """Return what a plain file holds.

    Raises RefusedError for a pipe or a device, which would be waited for or never ends, and above `most` bytes; OSError
    where it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor, so that what is checked is what is read
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise RefusedError(f"{path} is not a plain file")
        content = file.read(most + 1)
    if len(content) > most:
        raise RefusedError(f"{path} has more than {most >> 20} MiB")
    return content


def check_plain(path: Path) -> None:
    """Raise RefusedError for what is no plain file, before a library opens it."""
    try:
        kind = path.stat().st_mode
    except OSError as error:
        raise RefusedError(f"{path} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(kind):
        raise RefusedError(f"{path} is not a plain file")
