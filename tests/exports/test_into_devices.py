"""What is written to a device or a pipe goes into it: nothing takes its place, and a full one is an error."""

from __future__ import annotations

import io
import os
import stat
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from distbench.data.json_lines import write_json_lines
from distbench.errors import EnvironmentFault
from distbench.exports import png
from distbench.exports.parquet_rows import Parquet
from distbench.exports.png import PNG
from distbench.protocols.export import Source
from distbench.schema.result import Result
from distbench.store.files import write_text

PICTURE = b"\x89PNG\r\n\x1a\n and so on"
Write = Callable[[Path], object]


@pytest.fixture(params=["text", "parquet", "png", "json lines"])
def written(request: pytest.FixtureRequest, synthetic: Result, monkeypatch: pytest.MonkeyPatch) -> tuple[Write, Any]:
    """How something is written, and how it is read back."""
    monkeypatch.setattr(png, "found_browser", lambda: "browser")
    monkeypatch.setattr(png, "_draw", lambda *_: PICTURE)
    ways: dict[str, tuple[Write, Any]] = {
        "text": (lambda to: write_text(to, "said\n"), lambda found: found == b"said\n"),
        "parquet": (
            lambda to: Parquet(Parquet.Options()).export(Source(synthetic), to),
            lambda found: pq.read_table(io.BytesIO(found)).num_rows > 0,
        ),
        "png": (
            lambda to: PNG(PNG.Options()).export(Source(synthetic), to),
            lambda found: found == PICTURE,
        ),
        "json lines": (
            lambda to: write_json_lines([{"a": 1}], to, "rows"),
            lambda found: found == b'{"a": 1}\n',
        ),
    }
    return ways[request.param]


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A device of our own on which there is never room: one under /dev would be lost where a test fails."""
    path = tmp_path / "full.parquet"
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 7))
        path.open("wb").close()
    except OSError:
        pytest.skip("devices cannot be made, or opened, here")
    yield path
    assert path.is_char_device()


def test_a_pipe_gets_all_of_it_and_stays_a_pipe(tmp_path: Path, written: tuple[Write, Any]) -> None:
    write, right = written
    pipe = tmp_path / "pipe.parquet"
    os.mkfifo(pipe)
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append(pipe.read_bytes()), daemon=True)
    reader.start()
    write(pipe)
    reader.join(timeout=30)
    assert right(read[0])
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.parquet"]


def test_a_full_device_is_an_error_of_the_machine(full: Path, written: tuple[Write, Any]) -> None:
    with pytest.raises(EnvironmentFault, match="No space left on device writing"):
        written[0](full)


def test_an_open_file_under_its_name_in_proc_is_written_into(tmp_path: Path, written: tuple[Write, Any]) -> None:
    """/dev/stdout is such a link; with `> FILE` it leads to a file, and must stay a link all the same."""
    write, right = written
    with (tmp_path / "file").open("wb") as file:
        link = tmp_path / "stdout.parquet"
        link.symlink_to(f"/proc/self/fd/{file.fileno()}")
        write(link)
        assert link.is_symlink()
    assert right((tmp_path / "file").read_bytes())
