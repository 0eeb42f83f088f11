"""One cache, several processes at the same time: made once, waited for, given up by the dead, healed, or only read."""

from __future__ import annotations

import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from distbench.errors import EnvironmentFault
from distbench.store import cache as cache_module
from distbench.store.cache import Cache
from distbench.store.run_dir import RunDir
from tests.reliability.stuck import environment, install, write_suite

PR_CAPBSET_DROP = 24
MAKER = """\
import sys, time
from pathlib import Path
from distbench.store.cache import Cache

def make(folder):
    (folder / "answers").write_text("half")
    print("making", flush=True)
    time.sleep(float(sys.argv[2]))
    (folder / "answers").write_text("42" * 1000)

folder, there = Cache(Path(sys.argv[1])).get_or_make("signals", "k", make)
print("there" if there else "made", (folder / "answers").read_text() == "42" * 1000, flush=True)
"""


def maker(root: Path, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", MAKER, str(root), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def sealed(run: RunDir, text: str = "42") -> Path:
    folder = run.workplace("abc")
    (folder / "samples").write_text(text)
    return run.commit("abc", folder)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.prepare(tmp_path / "run")


def test_what_several_processes_want_at_once_is_made_once(tmp_path: Path) -> None:
    processes = [maker(tmp_path, 0.5) for _ in range(4)]
    said = [process.communicate(timeout=60)[0].split("\n") for process in processes]
    assert sorted(lines[-2] for lines in said) == ["made True"] + ["there True"] * 3
    assert sum(lines.count("making") for lines in said) == 1


def test_a_maker_that_is_killed_keeps_nobody_waiting_and_leaves_nothing(tmp_path: Path) -> None:
    first = maker(tmp_path, 60)
    assert first.stdout is not None
    assert first.stdout.readline() == "making\n"
    second = maker(tmp_path, 0)
    with pytest.raises(subprocess.TimeoutExpired):
        second.wait(timeout=1.0)
    first.send_signal(signal.SIGKILL)
    first.wait()
    began = time.monotonic()
    assert second.communicate(timeout=60)[0] == "making\nmade True\n"
    assert time.monotonic() - began < 30
    Cache(tmp_path).get_or_make("signals", "other", lambda folder: (folder / "x").touch())
    assert not [path for path in (tmp_path / "signals").iterdir() if path.name.startswith(".tmp")]


def test_a_damaged_entry_is_made_again_while_another_process_still_reads_it(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    folder, _ = cache.get_or_make("signals", "k", lambda folder: (folder / "x").write_text("42"))
    with (folder / "x").open() as reader:
        reader.read(1)
        os.truncate(folder / "x", 1)
        assert cache.find("signals", "k") is None
        folder, there = cache.get_or_make("signals", "k", lambda folder: (folder / "x").write_text("43"))
        assert not there
        reader.seek(0)
        assert reader.read() == "4"  # the old file: it is gone from its place, and was not written over
    assert (folder / "x").read_text() == "43"


def test_a_sound_entry_that_took_a_damaged_ones_place_is_not_removed(tmp_path: Path) -> None:
    """Two processes find the same damage; the slower one must not remove what the faster one has made again."""
    cache = Cache(tmp_path)
    folder, _ = cache.get_or_make("signals", "k", lambda folder: (folder / "x").write_text("42"))
    cache_module._discard(folder)  # what the slower one does after it saw the damage
    assert cache.find("signals", "k") == folder


def test_an_entry_that_leaves_the_cache_while_it_is_taken_is_made_again(tmp_path: Path, run: RunDir) -> None:
    cache, other = Cache(tmp_path / "cache"), RunDir.prepare(tmp_path / "other")
    cache.put("cells", "abc", sealed(run))
    entry = cache.find("cells", "abc")
    assert entry is not None
    (entry / "samples").unlink()  # somebody clears the cache at this moment
    assert not other.adopt("abc", entry)
    shutil.rmtree(entry)
    assert not other.adopt("abc", entry)
    assert list(other.cells.iterdir()) == []


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """A place, and how a process is started that cannot write where modes forbid it, even as root."""
    yield tmp_path, {"preexec_fn": _obey_modes}
    for folder in (tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())):
        folder.chmod(0o755)


def _obey_modes() -> None:
    """Let root obey the modes of files as everybody does: the program that is started then lacks CAP_DAC_OVERRIDE."""
    for capability in (1, 2):
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)


def closed(folder: Path) -> None:
    """Let nobody write in a folder or below."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o555 if path.is_dir() else 0o444)


def test_a_cache_that_may_only_be_read_is_read_and_that_is_said(read_only: tuple[Path, dict[str, Any]]) -> None:
    place, how = read_only
    known = environment(install(place) | {"HOME": str(place)})
    write_suite(place)
    command = [sys.executable, "-m", "distbench", "run", "suite.yaml", "--out"]
    subprocess.run([*command, "one"], cwd=place, env=known, check=True, capture_output=True, timeout=300)
    for entry in (place / "cache" / "v1" / "cells").iterdir():  # the first student's are missing
        record = json.loads((entry / "record.json").read_text())
        if "fine" in record["title"]:
            shutil.rmtree(entry)
    closed(place / "cache")
    done = subprocess.run(
        [*command, "two"], cwd=place, env=known, check=False, capture_output=True, text=True, timeout=300, **how
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("nothing new is shared with other runs") == 1
    assert "Permission denied" in done.stderr
    cells = {p.name: p for p in (place / "two" / "cells").iterdir()}
    assert sorted(cells) == sorted(p.name for p in (place / "one" / "cells").iterdir())
    journal = [json.loads(line) for line in (place / "two" / "journal.jsonl").read_text().splitlines()]
    assert len(next(event["cached"] for event in journal if event["event"] == "run")) == len(cells) - 2


def test_what_is_made_beside_a_cache_that_may_only_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Cache, "unwritable", lambda self: "Read-only file system")
    monkeypatch.setattr(cache_module, "_beside", [])
    cache = Cache(tmp_path / "cache")
    with pytest.raises(EnvironmentFault, match=r"cannot be written \(Read-only file system\); DISTBENCH_CACHE"):
        cache.get_or_make("signals", "k", lambda folder: (folder / "x").touch())
    cache_module.keep_beside(tmp_path / "own")
    folder, there = cache.get_or_make("signals", "k", lambda folder: (folder / "x").touch())
    assert (folder, there) == (tmp_path / "own" / "signals" / "k", False)
    assert cache.get_or_make("signals", "k", lambda folder: None) == (folder, True)
    assert not (tmp_path / "cache").exists()


def test_two_runs_at_once_record_a_teacher_once_and_make_the_same(tmp_path: Path) -> None:
    known = environment(install(tmp_path))
    learns = "distil: {use: soft-labels, temperature: T, control: none, data: {use: quick-rows}}}"
    write_suite(tmp_path)
    for name in ("a", "b"):
        students = [
            f"  - {{name: {name}{t}, of: t, init: {{use: quick}}, {learns.replace('T', t)}" for t in ("1.0", "2.0")
        ]
        text = (tmp_path / "suite.yaml").read_text()
        text = text.replace("  - {name: fine, of: t, quantise: {use: quick-round}}", "\n".join(students))
        (tmp_path / f"{name}.yaml").write_text(text)
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "distbench", "run", f"{name}.yaml", "--out", name], cwd=tmp_path, env=known,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for name in ("a", "b")
    ]  # fmt: skip
    for process in processes:
        _, said = process.communicate(timeout=300)
        assert process.returncode == 0, said
    assert len([path for path in (tmp_path / "cache" / "v1" / "signals").iterdir() if path.name[0] != "."]) == 1
    found = [sorted(path.name for path in (tmp_path / run / "cells").iterdir()) for run in "ab"]
    assert found[0] == found[1]  # the same cells: names do not count
    for name in found[0]:
        for file in ("samples.parquet", "model/weights.json"):
            one, two = (tmp_path / n / "cells" / name / file for n in "ab")
            assert one.exists() == two.exists()
            assert not one.exists() or one.read_bytes() == two.read_bytes()
