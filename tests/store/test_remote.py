"""A cache behind a URL: whole entries or none, damage is found and removed, and a lost connection is one line."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from distbench.errors import EnvironmentFault
from distbench.executors.environment import child_environment
from distbench.host import cache_dir, cache_url
from distbench.store.cache import Cache
from distbench.store.files import damage, seal
from distbench.store.remote import Remote, credentials, remote_cache

URL = "memory://bench"
EMPTY = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # the SHA-256 of nothing


@pytest.fixture
def files() -> Iterator[Any]:
    """The file system behind the URL, empty."""
    memory = fsspec.filesystem("memory")
    yield memory
    memory.rm("/bench", recursive=True) if memory.exists("/bench") else None
    remote_cache.cache_clear()


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    folder = tmp_path / "sealed"
    (folder / "model").mkdir(parents=True)
    (folder / "record.json").write_text("{}")
    (folder / "model" / "weights").write_bytes(bytes(range(256)) * 1000)
    seal(folder)
    return folder


def machine(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Return the cache as another machine has it: its own folder, the same URL."""
    monkeypatch.setenv("DISTBENCH_CACHE", URL)
    monkeypatch.setenv("DISTBENCH_LOCAL_CACHE", str(tmp_path / name))
    return Cache()


def contents(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_one_machine_finished_another_one_has(
    files: Any, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = (machine(tmp_path, name, monkeypatch) for name in ("one", "other"))
    assert not other.has("cells", "c1")
    one.put("cells", "c1", sealed)
    found = machine(tmp_path, "other", monkeypatch).find("cells", "c1")
    assert found is not None
    assert found.is_relative_to(tmp_path / "other")
    assert contents(found) == contents(sealed)
    assert machine(tmp_path, "third", monkeypatch).has("cells", "c1")


def test_what_is_made_once_is_fetched_afterwards(files: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "signal").write_text("what the teacher said")

    made: list[Path] = []
    for name, there in (("one", False), ("other", True)):
        folder, cached = machine(tmp_path, name, monkeypatch).get_or_make("signals", "s", make)
        assert cached is there
        assert (folder / "signal").read_text() == "what the teacher said"
    assert len(made) == 1


def test_an_upload_that_was_cut_short_is_not_seen(
    files: Any, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = machine(tmp_path, "one", monkeypatch)
    assert one.remote is not None

    def cut(*_: object) -> None:
        raise ConnectionError("cable")

    with monkeypatch.context() as broken:
        broken.setattr(one.remote._files, "pipe_file", cut)  # the marker is what is written last
        with pytest.raises(EnvironmentFault, match=r"writing the cache memory://bench: cable"):
            one.put("cells", "c1", sealed)
    assert files.find("/bench/v1/cells/data/c1")
    other = machine(tmp_path, "other", monkeypatch)
    assert not other.has("cells", "c1")
    assert other.find("cells", "c1") is None
    one.put("cells", "c1", sealed)  # again, and now whole: its own copy is there already
    assert machine(tmp_path, "third", monkeypatch).find("cells", "c1") is not None


@pytest.mark.parametrize("harm", ["flip", "drop", "marker", "escape", "add", "seal"])
def test_a_damaged_entry_is_removed_and_can_be_made_again(
    harm: str, files: Any, sealed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine(tmp_path, "one", monkeypatch).put("cells", "c1", sealed)
    marker = "/bench/v1/cells/ready/c1.json"
    told = json.loads(files.cat_file(marker))
    place = f"/bench/v1/cells/data/c1/{told['upload']}"
    if harm == "flip":
        files.pipe_file(f"{place}/model/weights", b"other")
    elif harm == "drop":
        files.rm(f"{place}/record.json")
    elif harm == "marker":
        files.pipe_file(marker, b"no JSON")
    elif harm == "escape":  # a file that lies there, and that would be written outside
        evil = str(tmp_path / "evil")
        files.pipe_file(evil, b"")
        files.pipe_file(marker, json.dumps(told | {"files": told["files"] | {evil: EMPTY}}).encode())
    elif harm == "seal":  # other content, sealed anew: the marker knows what was uploaded
        (sealed / "record.json").write_text('{"better": true}')
        seal(sealed)
        for name in ("record.json", "SHA256SUMS"):
            files.pipe_file(f"{place}/{name}", (sealed / name).read_bytes())
    else:  # a file that was not sealed, with a marker that knows it
        files.pipe_file(f"{place}/extra", b"")
        files.pipe_file(marker, json.dumps(told | {"files": told["files"] | {"extra": EMPTY}}).encode())
    other = machine(tmp_path, "other", monkeypatch)
    assert other.find("cells", "c1") is None
    assert not files.exists(marker)
    assert not (tmp_path / "evil").exists()
    assert not [path for path in (tmp_path / "other").rglob("*") if path.is_file() and not path.name.startswith(".")]
    other.put("cells", "c1", sealed)
    found = machine(tmp_path, "third", monkeypatch).find("cells", "c1")
    assert found is not None
    assert damage(found) is None


def test_two_uploads_of_one_entry_leave_one_whole(files: Any, sealed: Path) -> None:
    for _ in range(2):
        Remote(URL).put("cells", "c1", sealed)
    assert Remote(URL).keys("cells") == {"c1"}
    assert len(files.ls("/bench/v1/cells/data/c1")) == 1


def test_a_folder_as_a_url_is_that_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISTBENCH_CACHE", f"file://{tmp_path}/shared")
    assert (cache_url(), cache_dir()) == (None, tmp_path / "shared" / "v1")


def test_an_unknown_protocol_and_a_missing_package_are_one_line() -> None:
    with pytest.raises(EnvironmentFault, match="cache nonsense://x"):
        Remote("nonsense://x")
    code = "import sys; sys.modules['s3fs'] = None\nfrom distbench.store.remote import Remote\nRemote('s3://bucket')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "pip install 'distbench[s3]'" in done.stderr


def test_only_the_cells_of_such_a_cache_have_its_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {"PATH": "/bin", "AWS_SECRET_ACCESS_KEY": "canary"}
    monkeypatch.setenv("DISTBENCH_CACHE", "/folder")
    assert "canary" not in child_environment(1, given, credentials()).values()
    monkeypatch.setenv("DISTBENCH_CACHE", "s3://bucket/bench")
    assert child_environment(1, given, credentials())["AWS_SECRET_ACCESS_KEY"] == "canary"
