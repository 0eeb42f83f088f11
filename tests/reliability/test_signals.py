"""The first signal gives the cell at work up and says what is kept; the second ends everything at once. No orphans."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from tests.reliability.stuck import environment, install, lives, write_suite

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('on', flush=True); time.sleep(60)"


def start(place: Path, known: dict[str, str], *command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "distbench", *command], cwd=place, env=environment(known), text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - a shell's & ignores it
    )  # fmt: skip


def wait_until(true: Callable[[], bool], what: str, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def at_work(place: Path, known: dict[str, str], *command: str) -> tuple[subprocess.Popen[str], list[int]]:
    """Start a command; return it and its worker with all its descendants once the worker's own child is there."""
    process = start(place, known, *command)
    child = place / "child.pid"
    wait_until(lambda: child.exists() and child.read_text() != "", "a worker starts its child")
    family = [each.pid for each in psutil.Process(process.pid).children(recursive=True)]
    assert int(child.read_text()) in family
    assert len(family) >= 2
    return process, family


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def known(place: Path) -> dict[str, str]:
    found = install(place)
    write_suite(place, f"seconds: 600, child: {place / 'child.pid'}")
    return found


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_one_signal_keeps_what_is_finished_and_says_so(
    place: Path, known: dict[str, str], sign: signal.Signals, code: int
) -> None:
    process, family = at_work(place, known, "run", "suite.yaml", "--out", "run")
    began = time.monotonic()
    process.send_signal(sign)
    _, said = process.communicate(timeout=30)
    assert time.monotonic() - began < 10
    assert process.returncode == code
    finished = len([path for path in (place / "run" / "cells").glob("*") if not path.name.startswith(".")])
    assert finished >= 1
    assert f"everything that finished is kept: {finished} of " in said
    assert "continue with: distbench run suite.yaml --out run" in said
    assert "Traceback" not in said
    wait_until(lambda: not any(map(lives, family)), "no orphans", 10)


@pytest.mark.parametrize("target", ["parent", "worker"])
def test_kill_leaves_no_orphans(place: Path, known: dict[str, str], target: str) -> None:
    process, family = at_work(place, known, "distil", "suite.yaml", "--out", "run")
    worker = next(each for each in family if psutil.Process(each).ppid() == process.pid)
    psutil.Process(process.pid if target == "parent" else worker).kill()
    wait_until(lambda: not any(map(lives, family)), "the worker's own child ends too", 10)
    process.kill()
    process.communicate()


def test_a_second_signal_does_not_wait(place: Path, known: dict[str, str]) -> None:
    """The worker's end is held up by a member of its group that ignores SIGTERM."""
    process, family = at_work(place, known, "run", "suite.yaml", "--out", "run")
    worker = psutil.Process(int((place / "child.pid").read_text())).parent()
    assert worker is not None
    assert worker.ppid() == process.pid
    worker.suspend()  # it cannot even hear SIGTERM now; only SIGKILL ends it
    wait_until(lambda: worker.status() == psutil.STATUS_STOPPED, "the worker stops")
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=10)
    assert time.monotonic() - began < 3
    assert process.returncode == 143
    assert "ended at once" in said
    wait_until(lambda: not any(map(lives, family)), "no orphans", 10)


def test_a_group_that_ignores_sigterm_is_killed_within_ten_seconds() -> None:
    from distbench.executors.ending import end

    with subprocess.Popen(
        [sys.executable, "-S", "-c", STUBBORN], stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        began = time.monotonic()
        end(child.pid, child.poll, grace=0.3)
        assert child.returncode == -signal.SIGKILL
        assert time.monotonic() - began < 10


def test_a_descendant_in_a_session_of_its_own_is_ended_too(tmp_path: Path) -> None:
    from distbench.executors.ending import end

    note = tmp_path / "pid"
    code = (
        "import subprocess, sys, time; from pathlib import Path\n"
        "far = subprocess.Popen([sys.executable, '-S', '-c', 'import time; time.sleep(60)'], start_new_session=True)\n"
        f"Path({str(note)!r}).write_text(str(far.pid)); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True) as child:
        wait_until(lambda: note.exists() and note.read_text() != "", "it starts")
        end(child.pid, child.poll)
        wait_until(lambda: not lives(int(note.read_text())), "torchrun's processes are such", 10)
