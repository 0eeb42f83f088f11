"""One process has a claim; what is alive keeps it on any host, what was killed loses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from distbench.errors import EnvironmentFault
from distbench.store import claims
from distbench.store.claims import boot_id, claim, holder_of, refuse_while_alive
from distbench.store.hold import hold_cells
from distbench.store.run_dir import RunDir

HOLD = """\
import sys
from pathlib import Path
from distbench.store.hold import hold_cells
with hold_cells(Path(sys.argv[1]), sys.argv[2:]):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextmanager
def holding(run: RunDir, *ids: str) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold cells."""
    command = [sys.executable, "-c", HOLD, str(run.path), *ids]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir.prepare(tmp_path / "run")


@pytest.fixture
def brief(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "LEASE", 1.5)
    monkeypatch.setattr(claims, "LOOK", 0.05)


def of_another_host(path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"host": "node7", "boot": "of another kernel", "pid": os.getpid()}))
    return path


def test_different_cells_are_held_side_by_side_and_the_same_one_is_not(run: RunDir) -> None:
    with holding(run, "abc") as other:
        with hold_cells(run.path, ["def"]):
            pass
        with (
            pytest.raises(EnvironmentFault, match=f"cell abc of .* by process {other.pid};"),
            hold_cells(run.path, ["def", "abc"]),
        ):
            pass
        with hold_cells(run.path, ["def"]):  # what was taken before the refusal was given back
            pass


def test_the_whole_run_and_a_cell_of_it_exclude_each_other(run: RunDir) -> None:
    with holding(run, "abc") as other, pytest.raises(EnvironmentFault, match=f"cell abc is .* by process {other.pid}"):
        run.lock()
    with (
        run.lock(),
        pytest.raises(EnvironmentFault, match=f"locked by process {os.getpid()}"),
        hold_cells(run.path, ["abc"]),
    ):
        pass
    with hold_cells(run.path, ["abc"]):
        pass


def test_what_a_killed_process_held_is_free_at_once(run: RunDir) -> None:
    with holding(run, "abc") as other:
        half = run.workplace("abc")
        other.send_signal(signal.SIGKILL)
        other.wait()
        with hold_cells(run.path, ["def"]):
            assert half.exists(), "of another cell"
        with hold_cells(run.path, ["abc"]):
            assert not half.exists()
    assert not list((run.path / ".claims").iterdir())


def test_the_half_written_cell_of_a_living_task_survives_the_others(run: RunDir) -> None:
    with holding(run, "abc"):
        half = run.workplace("abc")
        with pytest.raises(EnvironmentFault):
            run.lock()
        with hold_cells(run.path, ["ab"]):  # whose id begins alike
            pass
        assert half.exists()


@pytest.mark.usefixtures("brief")
def test_a_claim_of_another_host_is_taken_over_when_no_sign_comes(run: RunDir) -> None:
    path, waited = of_another_host(run.path / ".claims" / "abc"), list[claims.Holder]()
    began = time.monotonic()
    with claim(path, "cell abc", waited.append):
        held = holder_of(path)
        assert held is not None
        assert (held.boot, held.pid) == (boot_id(), os.getpid())
    assert time.monotonic() - began >= 1.0
    assert [str(holder) for holder in waited] == [f"process {os.getpid()} on node7"]
    os.utime(of_another_host(path), (1, 1))
    began = time.monotonic()
    with claim(path, "cell abc"):  # nobody waits for what has been dead for long
        assert time.monotonic() - began < 1.0


@pytest.mark.usefixtures("brief")
@pytest.mark.parametrize("place", ["abc", "run"])
def test_a_living_holder_on_another_host_is_respected_without_a_shared_lock(run: RunDir, place: str) -> None:
    path, stop = of_another_host(run.path / ".claims" / place), threading.Event()

    def live() -> None:
        while not stop.wait(0.2):
            os.utime(path)

    heart = threading.Thread(target=live)
    heart.start()
    try:
        with pytest.raises(EnvironmentFault, match="on node7"), hold_cells(run.path, ["abc"]):
            pass
        with pytest.raises(EnvironmentFault, match="on node7"):
            run.lock()
    finally:
        stop.set()
        heart.join()
    with run.lock():  # it has died since
        assert {file.name for file in (run.path / ".claims").iterdir()} == {"run"}


def test_a_claim_gives_signs_of_life(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "HEARTBEAT", 0.05)
    path = run.path / ".claims" / "abc"
    with claim(path, "cell abc"):
        os.utime(path, (1, 1))
        deadline = time.monotonic() + 30
        while path.stat().st_mtime < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
    assert not path.exists()


def test_a_claim_that_nobody_holds_is_no_hindrance(run: RunDir) -> None:
    refuse_while_alive(run.path / ".claims" / "abc", "cell abc")  # there is none
    (run.path / ".claims").mkdir()
    (run.path / ".claims" / "abc").write_text("{half a holder")
    refuse_while_alive(run.path / ".claims" / "abc", "cell abc")
    assert not (run.path / ".claims" / "abc").exists()
