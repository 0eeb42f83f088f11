"""Finished work shared between runs, by content. An entry is a sealed folder; it appears whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from distbench.host import cache_dir
from distbench.store.files import damage, disk_faults, link_tree, seal


class Cache:
    """`<cache>/v1/<kind>/<key>/`: cells, teacher signals, fetched models."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or cache_dir()

    def path(self, kind: str, key: str) -> Path:
        """Return where an entry lies, whether it exists or not."""
        return self.root / kind / key

    def find(self, kind: str, key: str) -> Path | None:
        """Return an intact entry, or None. A damaged entry is removed: it can be made again."""
        folder = self.path(kind, key)
        if not folder.is_dir():
            return None
        if damage(folder):
            shutil.rmtree(folder, ignore_errors=True)
            return None
        return folder

    def put(self, kind: str, key: str, sealed: Path) -> None:
        """Share a sealed folder. Losing the race against another writer of the same content is fine."""
        target = self.path(kind, key)
        if target.is_dir():
            return
        with disk_faults(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".tmp-{key}-{os.getpid()}")
        shutil.rmtree(temporary, ignore_errors=True)
        link_tree(sealed, temporary)
        self._publish(temporary, target)

    def get_or_make(self, kind: str, key: str, make: Callable[[Path], None]) -> tuple[Path, bool]:
        """Return (entry, was it there already). Two processes that want one entry: the second waits for the first."""
        target = self.path(kind, key)
        with disk_faults(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(target.with_name(f".{key}.lock")):
            if found := self.find(kind, key):
                return found, True
            temporary = target.with_name(f".tmp-{key}-{os.getpid()}")
            shutil.rmtree(temporary, ignore_errors=True)
            temporary.mkdir()
            try:
                make(temporary)
                seal(temporary)
                self._publish(temporary, target)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        return target, False

    @staticmethod
    def _publish(temporary: Path, target: Path) -> None:
        try:
            temporary.rename(target)
        except OSError:
            shutil.rmtree(temporary, ignore_errors=True)
            if not target.is_dir():
                raise
