"""Finished work shared between runs, by content. An entry is a sealed folder; it appears whole or not at all.

Processes of any number of runs read and write one cache at the same time. Locks are the kernel's (flock): they are
free again the moment their holder dies. A cache that may only be read is read; what is made then is kept elsewhere.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock

from distbench.errors import EnvironmentFault
from distbench.host import cache_dir, cache_url
from distbench.store.crash import moment
from distbench.store.files import damage, disk_faults, link_tree, seal, sync_folder
from distbench.store.leftovers import OWNER, sweep
from distbench.store.remote import remote_cache

SHARED = frozenset({"cells", "signals", "corpora"})  # kinds that go behind a URL: the others are quickly had again
_beside: list[Path] = []


def keep_beside(folder: Path) -> None:
    """Let this process keep in `folder` what it makes and cannot put into a cache that it may only read."""
    _beside[:] = [folder]


class Cache:
    """`<cache>/v1/<kind>/<key>/`: cells, teacher signals, fetched models."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_dir()
        self._swept: set[str] = set()
        place = cache_url()
        self.remote = remote_cache(place) if place else None
        self._there: dict[str, set[str]] = {}

    def path(self, kind: str, key: str) -> Path:
        """Return where an entry lies, whether it exists or not."""
        return self.root / kind / key

    def unwritable(self) -> str | None:
        """Return why nothing can be put into this cache, or None where something can."""
        probe = self.root / f".writable.{OWNER}-{os.getpid()}"
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            return error.strerror or str(error)
        return None

    def find(self, kind: str, key: str) -> Path | None:
        """Return an intact entry, or None. A damaged entry is removed: it can be made again."""
        for root in (self.root, *_beside):
            folder = root / kind / key
            if folder.is_dir():
                if not damage(folder):
                    return folder
                _discard(folder)
        return self._fetched(kind, key)

    def has(self, kind: str, key: str) -> bool:
        """Say whether there is an entry. One that lies behind a URL is not fetched, so it may turn out damaged."""
        if self.remote is not None and kind not in self._there:
            self._there[kind] = self.remote.keys(kind)
        return key in self._there.get(kind, ()) or self.find(kind, key) is not None

    def _fetched(self, kind: str, key: str) -> Path | None:
        """Bring an entry from behind the URL into this machine's folder."""
        if self.remote is None or kind not in SHARED or self.unwritable() is not None:
            return None
        target = self.path(kind, key)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = _temporary(target)
        try:
            if not self.remote.fetch(kind, key, temporary):
                return None
            _publish(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return target

    def _uploaded(self, kind: str, key: str) -> None:
        if self.remote is not None and kind in SHARED:
            self.remote.put(kind, key, self.path(kind, key))

    def put(self, kind: str, key: str, sealed: Path) -> None:
        """Share a sealed folder. Losing the race against another writer of the same content is fine.

        Raises EnvironmentFault where the cache cannot take it: its disk is full, or it may only be read.
        """
        target = self.path(kind, key)
        if target.is_dir():
            self._uploaded(kind, key)
            return
        with disk_faults(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._sweep(kind)
            temporary = _temporary(target)
            try:
                link_tree(sealed, temporary)
                _publish(temporary, target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        self._uploaded(kind, key)

    def get_or_make(self, kind: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
        """Return (entry, was it there already). Two processes that want one entry: the second waits for the first.

        Raises EnvironmentFault where the cache cannot be written and this process has no other place to keep it.
        """
        if found := self.find(kind, key):
            return found, True
        if (why := self.unwritable()) is None:
            made = self._made(self.root, kind, key, make)
            try:
                self._uploaded(kind, key)
            except EnvironmentFault as error:  # what was made is here, and of use
                warnings.warn(str(error), stacklevel=2)
            return made
        if not _beside:
            raise EnvironmentFault(f"the cache {self.root} cannot be written ({why}); DISTBENCH_CACHE names another")
        return self._made(_beside[0], kind, key, make)

    def _made(self, root: Path, kind: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
        target = root / kind / key
        with disk_faults(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            self._sweep(kind)
        with _locked(target.with_name(f".{key}.lock")):
            if found := self.find(kind, key):
                return found, True
            temporary = _temporary(target)
            with disk_faults(target):
                temporary.mkdir()
            try:
                make(temporary)
                moment("make.made", target)
                with disk_faults(target):
                    seal(temporary)
                    _publish(temporary, target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        return target, False

    def _sweep(self, kind: str) -> None:
        """Remove what killed processes of this host left half-made: once, a cache may have very many entries."""
        if kind not in self._swept:
            self._swept.add(kind)
            sweep(self.root / kind)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with disk_faults(path):
        lock = FileLock(path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _temporary(target: Path) -> Path:
    folder = target.with_name(f".tmp-{target.name}.{OWNER}-{os.getpid()}")
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _publish(temporary: Path, target: Path) -> None:
    moment("put.linked", target)
    try:
        temporary.rename(target)
    except OSError:
        if not target.is_dir():
            raise
    moment("put.renamed", target)
    sync_folder(target.parent)


def _discard(folder: Path) -> None:
    """Remove a damaged entry. Where another process has put a sound one in its place meanwhile, that one stays."""
    aside = folder.with_name(f".tmp-damaged-{folder.name}.{OWNER}-{os.getpid()}")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        folder.rename(aside)
    except OSError:  # another process was faster, or the cache may only be read
        return
    if damage(aside) is None:
        with contextlib.suppress(OSError):  # a third process has made it again
            aside.rename(folder)
    shutil.rmtree(aside, ignore_errors=True)
