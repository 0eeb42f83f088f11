"""Temporary files and folders that a killed process left: each is named after its process, so that it can be told.

Names are `….<host>-<pid>` and perhaps a suffix. Only those of processes of this host that are gone are removed: a
folder may be shared with other hosts, whose processes nobody here can see.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import re
import shutil
import tempfile
from collections.abc import Container, Iterator
from pathlib import Path

OWNER = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
_NAME = re.compile(r"\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)(?:[.-][^/]*)?$")


def left_behind(name: str) -> bool:
    """Say whether a name is that of a temporary file or folder whose process, of this host, is gone."""
    found = _NAME.search(name)
    return found is not None and found["host"] == OWNER and not _lives(int(found["pid"]))


def is_temporary(name: str) -> bool:
    """Say whether a name is that of a temporary file or folder of distbench, whoever made it."""
    return name.startswith(".") and _NAME.search(name) is not None


def sweep(folder: Path) -> None:
    """Remove what killed processes left in a folder. What cannot be removed stays: it is in nobody's way."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in list(entries):
            if not left_behind(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            else:
                with contextlib.suppress(OSError):
                    Path(entry.path).unlink()


def remove_unfinished(cells: Path, ids: Container[str]) -> None:
    """Remove the half-built folders of some cells, whoever left them: for who holds these cells when no one builds."""
    for leftover in cells.glob(".tmp-*"):
        if leftover.name.removeprefix(".tmp-").partition(".")[0] in ids:
            shutil.rmtree(leftover, ignore_errors=True)


@contextlib.contextmanager
def temporary_folder(what: str) -> Iterator[Path]:
    """Give a folder in the system's place for temporary files, gone afterwards; after a kill, the next one sweeps."""
    place = Path(tempfile.gettempdir())
    sweep(place)
    with tempfile.TemporaryDirectory(prefix=f"distbench-{what}.{OWNER}-{os.getpid()}.", dir=place) as folder:
        yield Path(folder)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it lives, and is another user's
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    """Say whether a process has ended and nobody asked how: in a container whose first process collects nobody."""
    with contextlib.suppress(OSError):  # not Linux
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] == b"Z"
    return False
