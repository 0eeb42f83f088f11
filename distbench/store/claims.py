"""Who is at work on what: a file lock, and beside it signs of life that other hosts can see.

The kernel gives a lock back when its holder dies, on this host at least: on some shared file systems a lock is seen by
one host only. So the holder also touches the file it has locked. Where a claim is another host's, the one that wants it
waits until no sign of life has come for `LEASE` seconds: what is alive is refused, what was killed is taken over.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from distbench.errors import EnvironmentFault
from distbench.store.files import disk_faults

HEARTBEAT = 15.0  # seconds between two signs of life
LEASE = 90.0  # seconds without one, after which a holder on another host counts as dead
LOOK = 0.5  # seconds between two looks at a claim that may be alive
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True)
class Holder:
    """A process: `boot` says on which kernel, since containers on two machines may have one host name."""

    host: str
    boot: str
    pid: int

    def __str__(self) -> str:
        return f"process {self.pid}" + ("" if self.boot == boot_id() else f" on {self.host}")


@cache
def boot_id() -> str:
    """Return what tells this running kernel from every other: a process of another one cannot share its locks."""
    try:
        return BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:  # not Linux
        return platform.node()


class Claim:
    """A file that this process has locked and touches while it lives. Gone when it is released."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path, self._descriptor = path, descriptor
        self._released = threading.Event()
        self._heart = threading.Thread(target=self._beat, name=f"claim {path.name}", daemon=True)
        self._heart.start()

    def _beat(self) -> None:
        while not self._released.wait(HEARTBEAT):
            with contextlib.suppress(OSError):  # a file server that is away for a moment
                os.utime(self._descriptor)

    def release(self) -> None:
        """Give it back."""
        if self._released.is_set():
            return
        self._released.set()
        self._heart.join()
        with contextlib.suppress(OSError):
            if _is_at(self._descriptor, self.path):
                self.path.unlink()
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def claim(path: Path, what: str, on_wait: Callable[[Holder], None] | None = None) -> Claim:
    """Claim a file for this process. `what` is what it stands for, `on_wait` hears of a wait for another host's sign.

    Raises EnvironmentFault where another process has it, or where the file system has no locks.
    """
    with disk_faults(path):
        path.parent.mkdir(exist_ok=True)
    descriptor = _locked(path)
    if descriptor is None:
        raise taken(what, holder_of(path))
    try:
        before = holder_of(path)
        if before is not None and before.boot != boot_id():
            if on_wait is not None:
                on_wait(before)
            if _lives(path):
                raise taken(what, before)
        with disk_faults(path):
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, json.dumps(asdict(Holder(platform.node(), boot_id(), os.getpid()))).encode(), 0)
            os.fsync(descriptor)
    except BaseException:
        os.close(descriptor)
        raise
    return Claim(path, descriptor)


def taken(what: str, holder: Holder | None) -> EnvironmentFault:
    """Return the error that says who holds a claim."""
    return EnvironmentFault(f"{what} is being worked on by {holder or 'another process'}; wait for it to end")


def refuse_while_alive(path: Path, what: str) -> None:
    """Raise EnvironmentFault where somebody holds a claim. What a dead process left is removed."""
    with contextlib.suppress(FileNotFoundError):
        holder, descriptor = holder_of(path), os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            if not _lock(descriptor):
                raise taken(what, holder)
            if holder is not None and holder.boot != boot_id() and _lives(path):
                raise taken(what, holder)
            if _is_at(descriptor, path):
                path.unlink()
        finally:
            os.close(descriptor)


@contextlib.contextmanager
def shared(path: Path, refused: Callable[[], EnvironmentFault]) -> Iterator[None]:
    """Hold a lock file together with others that share it; `refused` makes the error where one holds it alone."""
    with disk_faults(path):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        if not _lock(descriptor, fcntl.LOCK_SH):
            raise refused()
        yield
    finally:
        os.close(descriptor)


def is_held(path: Path) -> bool:
    """Say whether a process of this host, or of one that shares its locks, holds a claim at this moment."""
    with contextlib.suppress(FileNotFoundError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        try:
            return not _lock(descriptor)
        finally:
            os.close(descriptor)
    return False


def holder_of(path: Path) -> Holder | None:
    """Return who wrote a claim; None where nobody did, or it is being written."""
    try:
        return Holder(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _locked(path: Path) -> int | None:
    """Return a descriptor of the file at `path`, locked; None where another process has it."""
    while True:
        with disk_faults(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        if not _lock(descriptor):
            os.close(descriptor)
            return None
        if _is_at(descriptor, path):
            return descriptor
        os.close(descriptor)  # its holder removed it between our opening and locking it


def _lock(descriptor: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise EnvironmentFault(f"this file system cannot lock files: {error.strerror}") from error
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (mine.st_dev, mine.st_ino) == (there.st_dev, there.st_ino)


def _lives(path: Path) -> bool:
    """Say whether another host's holder gives a sign of life, or leaves. Clocks are not compared between hosts."""
    last, left = _sign(path), LEASE - _age(path)
    deadline = time.monotonic() + left
    while time.monotonic() < deadline:
        time.sleep(LOOK)
        if _sign(path) != last:
            return True
    return False


def _sign(path: Path) -> int | None:
    """Return the time of the last sign, read by opening the file: what a file server's client has cached may be old."""
    try:
        with path.open("rb") as file:
            return os.fstat(file.fileno()).st_mtime_ns
    except OSError:
        return None


def _age(path: Path) -> float:
    """Return for how many seconds there has been no sign, by the file server's own clock."""
    probe = path.with_name(f".now-{os.getpid()}-{threading.get_ident()}")
    with disk_faults(probe):
        probe.touch()
        try:
            return max(0.0, probe.stat().st_mtime - path.stat().st_mtime)
        finally:
            probe.unlink(missing_ok=True)
