"""A process that dies at any named moment leaves nothing half-written, and the next one goes on as if nothing was."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from distbench.store.crash import moment
from distbench.store.leftovers import OWNER, left_behind, sweep, temporary_folder


def test_nothing_is_half_written_at_any_moment(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("every_moment.py"), tmp_path],
        capture_output=True, text=True, check=False, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    counts = json.loads(done.stdout)
    assert counts["rewrite"] == 6  # begin, opened, written, synced, renamed, done
    assert min(counts.values()) == counts["copy"] == 2, counts
    assert counts["commit"] >= 15
    assert counts["share"] > counts["commit"]


def test_moments_are_off_unless_they_are_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda pid, sign: killed.append((pid, sign)))
    monkeypatch.delenv("DISTBENCH_CRASH_AT", raising=False)
    moment("write.synced", tmp_path)
    monkeypatch.setenv("DISTBENCH_CRASH_AT", "write.synced@manifest.json#2")
    for path in ("result.json", "manifest.json", "plan.json"):
        moment("write.synced", tmp_path / path)
        moment("write.renamed", tmp_path / path)
    assert killed == []
    moment("write.synced", tmp_path / "manifest.json")
    assert killed == [(os.getpid(), 9)]


def test_only_what_dead_processes_of_this_host_left_is_swept(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", ""]) as dead:
        dead.wait()
    names = {
        f".result.json.{OWNER}-{dead.pid}.tmp": False,
        f".tmp-abc.{OWNER}-{dead.pid}": False,
        f".result.json.{OWNER}-{os.getpid()}.tmp": True,  # at work
        f".result.json.00000000-{dead.pid}.tmp": True,  # of another host
        "result.json": True,
        f"notes.{dead.pid}": True,
    }
    for name in names:
        (tmp_path / name).mkdir() if name.startswith(".tmp-") else (tmp_path / name).touch()
    sweep(tmp_path)
    assert {name: (tmp_path / name).exists() for name in names} == names
    assert not left_behind(f".x.{OWNER}-{os.getppid()}.tmp")


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="only /proc says what a process is waiting for")
def test_a_process_that_ended_is_gone_though_nobody_collected_it() -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "print()"], stdout=subprocess.PIPE) as zombie:
        assert zombie.stdout is not None
        assert not left_behind(f".x.{OWNER}-{os.getpid()}.tmp")
        zombie.stdout.read()  # to its end: the process has closed it
        for _ in range(500):
            if left_behind(f".x.{OWNER}-{zombie.pid}.tmp"):
                break
            time.sleep(0.01)
        os.kill(zombie.pid, 0)  # its number is still taken
        assert left_behind(f".x.{OWNER}-{zombie.pid}.tmp")


def test_a_killed_process_leaves_its_temporary_folder_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = (
        "import os\nfrom distbench.store.leftovers import temporary_folder as t\nwith t('x'): os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ | {"TMPDIR": str(tmp_path)}, check=False)
    assert done.returncode == -9
    assert len(list(tmp_path.iterdir())) == 1
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with temporary_folder("y") as folder:
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []
