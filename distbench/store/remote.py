"""A cache behind a URL (s3://…, gs://…, any that fsspec knows), for machines that share no disk.

    <url>/v1/<kind>/data/<key>/<upload>/<file>    an entry's files; an upload that was cut short stays invisible
    <url>/v1/<kind>/ready/<key>.json              written last: which upload is the entry, with every file's SHA-256

An object store has no rename: the marker makes an entry appear, and only a whole one.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from distbench import secrets
from distbench.errors import EnvironmentFault
from distbench.hashing import file_digest
from distbench.store.files import damage, disk_faults

EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}  # protocol → our extra that brings its file system
CREDENTIALS = {  # what each protocol's own library reads: it reaches the cells of a run with such a cache, and no other
    "s3": ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION",
           "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "FSSPEC_S3_ENDPOINT_URL"),
    "gcs": ("GOOGLE_APPLICATION_CREDENTIALS", "GOOGLE_CLOUD_PROJECT", "STORAGE_EMULATOR_HOST"),
}  # fmt: skip


def credentials() -> frozenset[str]:
    """Return the names of the variables that the cache of this process needs."""
    protocol = os.environ.get("DISTBENCH_CACHE", "").partition("://")[0]
    return frozenset(CREDENTIALS.get(EXTRAS.get(protocol, ""), ()))


@cache
def remote_cache(url: str) -> Remote:
    """Return the cache behind a URL; connections are kept.

    Raises EnvironmentFault where its file system is not installed or not reached.
    """
    return Remote(url)


class Remote:
    """Whole entries by kind and key. Every fault of the network is an EnvironmentFault with one line."""

    def __init__(self, url: str) -> None:
        import fsspec

        self.url = url.rstrip("/")
        with self._faults("opening"):
            try:
                self._files, root = fsspec.core.url_to_fs(self.url)
            except ImportError as error:
                protocol = url.partition("://")[0]
                extra = EXTRAS.get(protocol)
                remedy = (
                    f"pip install 'distbench[{extra}]'" if extra else f"install the fsspec package for {protocol}://"
                )
                raise EnvironmentFault(f"the cache {secrets.text(url)} needs a package: {remedy}") from error
        self._root = PurePosixPath(root) / "v1"

    def keys(self, kind: str) -> set[str]:
        """Return the keys of all entries of a kind, by one listing."""
        folder = str(self._root / kind / "ready")
        with self._faults("reading"):
            self._files.invalidate_cache()
            try:
                names = self._files.ls(folder, detail=False)
            except FileNotFoundError:
                return set()
        return {PurePosixPath(name).stem for name in names if name.endswith(".json")}

    def fetch(self, kind: str, key: str, folder: Path) -> bool:
        """Write an entry into `folder`, which does not exist yet; False where there is none.

        One that is not what was uploaded is removed, so that it can be made again.
        """
        with self._faults("reading"):
            try:
                marker = json.loads(self._files.cat_file(self._marker(kind, key)))
            except FileNotFoundError:
                return False
            except ValueError:
                marker = {}
            if self._fetched(kind, key, marker, folder):
                return True
            shutil.rmtree(folder, ignore_errors=True)
            self.remove(kind, key)
            return False

    def _fetched(self, kind: str, key: str, marker: dict[str, Any], folder: Path) -> bool:
        files = marker.get("files")
        if not isinstance(files, dict) or not files:
            return False
        for name, digest in files.items():
            relative = PurePosixPath(name)
            if relative.is_absolute() or ".." in relative.parts:
                return False
            target = folder / relative
            with disk_faults(target):
                target.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._files.get_file(str(self._data(kind, key) / str(marker.get("upload")) / relative), str(target))
            except FileNotFoundError:
                return False
            if file_digest(target) != digest:
                return False
        return damage(folder) is None

    def put(self, kind: str, key: str, sealed: Path) -> None:
        """Upload a sealed folder: its files first, then the marker. An entry that is there already stays."""
        with self._faults("writing"):
            if self._files.exists(self._marker(kind, key)):
                return
            upload = os.urandom(8).hex()
            place = self._data(kind, key) / upload
            files = {}
            for path in sorted(each for each in sealed.rglob("*") if each.is_file()):
                name = path.relative_to(sealed).as_posix()
                self._files.makedirs(str((place / name).parent), exist_ok=True)
                self._files.put_file(str(path), str(place / name))
                files[name] = file_digest(path)
            self._files.makedirs(str(self._root / kind / "ready"), exist_ok=True)
            marker = json.dumps({"upload": upload, "files": files}, indent=1).encode()
            self._files.pipe_file(self._marker(kind, key), marker)

    def remove(self, kind: str, key: str) -> None:
        """Remove an entry: its marker first, so that nobody begins to read it."""
        for place in (self._marker(kind, key), str(self._data(kind, key))):
            with contextlib.suppress(FileNotFoundError):
                self._files.rm(place, recursive=True)

    def _data(self, kind: str, key: str) -> PurePosixPath:
        return self._root / kind / "data" / key

    def _marker(self, kind: str, key: str) -> str:
        return str(self._root / kind / "ready" / f"{key}.json")

    @contextlib.contextmanager
    def _faults(self, what: str) -> Iterator[None]:
        try:
            yield
        except EnvironmentFault:
            raise
        except Exception as error:  # every file system raises errors of its own
            said = secrets.text(" ".join(str(error).split())[:200] or type(error).__name__)
            raise EnvironmentFault(f"{what} the cache {secrets.text(self.url)}: {said}") from error
