"""A finished cell is whole or not there; a second writer waits outside; damage is refused, not repaired silently."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from distbench.errors import EnvironmentFault, RefusedError, UsageError
from distbench.store.cache import Cache
from distbench.store.files import damage, link_tree, seal, write_text
from distbench.store.run_dir import RunDir


def made(run: RunDir, cell_id: str, text: str = "42") -> Path:
    folder = run.workplace(cell_id)
    (folder / "model").mkdir()
    (folder / "model" / "weights").write_text(text)
    (folder / "record.json").write_text("{}")
    return folder


def test_a_cell_appears_only_by_its_commit(tmp_path: Path) -> None:
    run = RunDir.prepare(tmp_path / "run")
    folder = made(run, "abc")
    assert not run.is_done("abc")
    run.commit("abc", folder)
    assert run.is_done("abc")
    assert (run.cells / "abc" / "model" / "weights").read_text() == "42"
    assert not folder.exists()


@pytest.mark.parametrize("change", ["flip", "remove", "add", "no sums"])
def test_a_changed_cell_is_refused_and_named(tmp_path: Path, change: str) -> None:
    run = RunDir.prepare(tmp_path / "run")
    target = run.commit("abc", made(run, "abc"))
    weights = target / "model" / "weights"
    if change == "flip":
        weights.write_text("43")
    elif change == "remove":
        weights.unlink()
    elif change == "add":
        (target / "extra").write_text("x")
    else:
        (target / "SHA256SUMS").unlink()
    with pytest.raises(RefusedError, match="cell abc"):
        run.is_done("abc")


def test_sums_cannot_point_outside_the_cell(tmp_path: Path) -> None:
    folder = tmp_path / "cell"
    folder.mkdir()
    (tmp_path / "secret").write_text("s")
    (folder / "SHA256SUMS").write_text(f"{'0' * 64}  ../secret\n")
    assert "names" in (damage(folder) or "")


def test_what_a_killed_process_left_is_swept_by_the_next_writer(tmp_path: Path) -> None:
    run = RunDir.prepare(tmp_path / "run")
    leftover = made(run, "abc")
    with run.lock():
        assert not leftover.exists()


def test_a_second_writer_is_told_who_holds_the_run(tmp_path: Path) -> None:
    run = RunDir.prepare(tmp_path / "run")
    code = (
        "import sys; from pathlib import Path; from distbench.store.run_dir import RunDir\n"
        "with RunDir(Path(sys.argv[1])).lock(): print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(run.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdin is not None
        assert holder.stdout.readline().strip() == "held"
        with pytest.raises(EnvironmentFault, match=f"locked by process {holder.pid}"):
            run.lock()
        holder.stdin.close()
    with run.lock():
        pass


def test_out_must_be_a_run_or_an_empty_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(EnvironmentFault, match="is a file"):
        RunDir.prepare(file)
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").touch()
    with pytest.raises(UsageError, match="not empty"):
        RunDir.prepare(tmp_path / "photos")
    with pytest.raises(UsageError, match="no run at"):
        RunDir.existing(tmp_path / "nothing")


def test_a_full_disk_leaves_the_old_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    write_text(path, "old")
    code = (
        "import resource, sys; from pathlib import Path; from distbench.store.files import write_text\n"
        "import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from distbench.errors import EnvironmentFault\n"
        "try: write_text(Path(sys.argv[1]), 'x' * 100_000)\n"
        "except EnvironmentFault as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert "writing" in done.stdout
    assert str(path) in done.stdout
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.json"]


def test_cache_makes_once_and_heals_damage(tmp_path: Path) -> None:
    cache, calls = Cache(tmp_path / "cache"), []

    def make(folder: Path) -> None:
        calls.append(1)
        (folder / "x").write_text("content")

    first, there = cache.get_or_make("signals", "k", make)
    assert not there
    assert cache.get_or_make("signals", "k", make) == (first, True)
    (first / "x").write_text("damaged")
    assert cache.find("signals", "k") is None
    again, there = cache.get_or_make("signals", "k", make)
    assert (again / "x").read_text() == "content"
    assert (there, len(calls)) == (False, 2)


def test_a_maker_that_fails_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")

    def make(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        cache.get_or_make("signals", "k", make)
    assert cache.find("signals", "k") is None
    assert not list((tmp_path / "cache" / "signals").glob(".tmp-*"))


def test_a_cell_travels_through_the_cache_unchanged(tmp_path: Path) -> None:
    cache, one, two = Cache(tmp_path / "cache"), RunDir.prepare(tmp_path / "one"), RunDir.prepare(tmp_path / "two")
    cache.put("cells", "abc", one.commit("abc", made(one, "abc")))
    entry = cache.find("cells", "abc")
    assert entry is not None
    two.adopt("abc", entry)
    assert two.is_done("abc")


def test_link_tree_copies_where_links_are_impossible(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "x").write_text("1")
    seal(source)

    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(os, "link", refuse)
    link_tree(source, tmp_path / "target")
    assert damage(tmp_path / "target") is None


def test_a_device_is_written_into_never_replaced(tmp_path: Path) -> None:
    device = tmp_path / "pipe"
    os.mkfifo(device)
    reader = os.open(device, os.O_RDONLY | os.O_NONBLOCK)
    try:
        write_text(device, "said")
        assert os.read(reader, 10) == b"said"
    finally:
        os.close(reader)
    assert not device.is_file()
    if Path("/dev/full").is_char_device():
        with pytest.raises(EnvironmentFault, match="No space left on device writing /dev/full"):
            write_text(Path("/dev/full"), "said")
