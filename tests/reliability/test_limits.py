"""Limits of a cell: what exceeds them is ended and says so with real numbers; everything else goes on."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from distbench.executors.job import CellLimit
from distbench.executors.watch import REPORTED_SILENCE, Watch, held_bytes, limit_of
from distbench.meters.host_memory import Died, total_bytes
from distbench.schema.limits import Limit, Limits
from tests.command import distbench
from tests.reliability.stuck import install, lives, write_suite

MIB = 1 << 20
HOLDS = "import time; block = bytearray(120 << 20); block[::4096] = b'x' * len(block[::4096]); time.sleep(60)"
WITH_CHILD = f"import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {HOLDS!r}]); time.sleep(60)"


@contextmanager
def worker(code: str) -> Iterator[subprocess.Popen[bytes]]:
    child = subprocess.Popen([sys.executable, "-S", "-c", code], start_new_session=True)
    try:
        yield child
    finally:
        child.kill()
        child.wait()


def ended(code: str, limit: CellLimit, events: list[dict[str, Any]] | None = None) -> tuple[str | None, Watch]:
    with worker(code) as child, Watch(child.pid, {"c": limit}) as watch:
        for event in events or [{"event": "started", "cell": "c"}]:
            watch.heard(event)
        child.wait(timeout=30)
    return watch.ended, watch


def test_a_worker_is_ended_at_its_wall_limit() -> None:
    began = time.monotonic()
    why, _ = ended("import time; time.sleep(60)", CellLimit(seconds=0.3))
    assert why == "ended at its wall limit of 0.3 s"
    assert time.monotonic() - began < 20


def test_a_worker_that_hangs_before_it_says_anything_is_ended_too() -> None:
    with worker("import time; time.sleep(60)") as child, Watch(child.pid, {"c": CellLimit(seconds=0.2)}) as watch:
        child.wait(timeout=20)
    assert watch.ended is not None


def test_the_memory_of_children_counts_and_they_are_ended_with_it() -> None:
    why, watch = ended(WITH_CHILD, CellLimit(memory=100 * MIB, every=0.1))
    assert why is not None
    held, allowed = re.fullmatch(r"ended at its memory limit: it held (.*) MiB of (.*) MiB", why).groups()  # type: ignore[union-attr]
    assert float(held) > 100
    assert float(allowed) == 100
    assert watch.peak >= 100 * MIB


def test_a_worker_within_its_limits_is_left_alone() -> None:
    why, watch = ended("import time; time.sleep(0.6)", CellLimit(seconds=30, memory=1 << 33, silence=30, every=0.1))
    assert why is None
    assert MIB < watch.peak < 100 * MIB


def test_silence_ends_a_worker_only_where_a_limit_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    why, _ = ended("import time; time.sleep(60)", CellLimit(silence=0.3))
    assert why is not None
    assert "without a sign of progress" in why
    assert REPORTED_SILENCE == 1800
    monkeypatch.setattr("distbench.executors.watch.REPORTED_SILENCE", 0.2)
    told: list[dict[str, object]] = []
    with worker("import time; time.sleep(1)") as child, Watch(child.pid, {"c": CellLimit()}, told.append) as watch:
        watch.heard({"event": "started", "cell": "c"})
        child.wait(timeout=20)
    assert watch.ended is None
    assert [(event["event"], event["cell"]) for event in told] == [("silent", "c")]  # once, not again and again


def test_every_cell_of_a_process_has_its_own_time() -> None:
    with worker("import time; time.sleep(60)") as child, Watch(child.pid, {"a": CellLimit(seconds=0.5)}) as watch:
        for _ in range(4):  # longer than the limit together
            watch.heard({"event": "started", "cell": "a"})
            time.sleep(0.2)
        assert watch.ended is None
        child.wait(timeout=20)
    assert watch.ended is not None


def test_shared_pages_count_once() -> None:
    code = f"import os; {HOLDS.replace('120', '200').replace('time.sleep', 'os.fork(); time.sleep')}"
    with worker(code) as child:
        deadline = time.monotonic() + 20
        while held_bytes(child.pid, above=1 << 40) < 380 * MIB and time.monotonic() < deadline:
            time.sleep(0.05)
        assert held_bytes(child.pid, above=1 << 40) > 380 * MIB  # resident sizes, added up
        assert held_bytes(child.pid) < 260 * MIB


def test_a_kind_of_cell_may_differ_and_the_command_line_wins() -> None:
    limits = Limits(seconds=10, memory="1GiB", measure=Limit(seconds=99))
    assert limit_of(limits, "make") == CellLimit(10, 1 << 30, None, 1.0)
    assert limit_of(limits, "measure") == CellLimit(99, 1 << 30, None, 10.0)
    assert limit_of(limits.overridden(5, None), "measure").seconds == 5
    assert limit_of(None, "evaluate") == CellLimit()


def test_how_a_killed_worker_is_told() -> None:
    gib = 1 << 30
    assert Died(int(21.3 * gib), 24 * gib, False).words() == (
        "killed by signal 9, likely out of memory (peak 21.3 of 24.0 GiB)"
    )
    assert Died(gib, 2 * gib, True).words() == "killed by signal 9, out of memory (peak 1.0 of 2.0 GiB)"
    assert total_bytes() > 1 << 28


def test_a_run_keeps_what_is_within_the_limits_and_says_what_was_not(tmp_path: Path) -> None:
    known = install(tmp_path)
    child = tmp_path / "child.pid"
    hangs, grows, dies = f"seconds: 60, child: {child}", "memory_mib: 600, seconds: 30", "memory_mib: 200, killed: true"
    write_suite(tmp_path, hangs, grows, dies)
    arguments = ("run", "suite.yaml", "--out", "run", "--set", "limits={seconds: 5, memory: 500MiB}")
    done = distbench(tmp_path, *arguments, check=4, **known)
    said = {
        json.loads(path.read_text())["title"]: json.loads(path.read_text())["message"]
        for path in (tmp_path / "run" / "attempts").glob("*/1.json")
    }
    assert said["make s0"] == "ended at its wall limit of 5 s"
    assert re.fullmatch(r"ended at its memory limit: it held \d+\.\d MiB of 500.0 MiB", said["make s1"])
    peak = re.fullmatch(r"killed by signal 9, likely out of memory \(peak (.*) of (.*) GiB\)", said["make s2"])
    assert peak is not None
    assert 0.2 <= float(peak[1]) < 1.5
    assert float(peak[2]) == pytest.approx(total_bytes() / 2**30, abs=0.1)
    assert "done  fine on one" in done.stderr
    assert "FAILED  make s0  " in done.stderr
    assert not lives(int(child.read_text()))
    assert not list((tmp_path / "run" / "cells").glob(".*")), "what a worker that was killed half-built"
    # limits are no part of what is compared: the run goes on with others
    ids = sorted(path.stem for path in (tmp_path / "run" / "plan").glob("*.json"))
    others = ("--cell-seconds", "1.5", "--cell-memory", "8 GiB")
    wider = distbench(tmp_path, "run", "suite.yaml", "--out", "run", *others, check=4, **known)
    assert "make s0  " in wider.stderr
    assert "ended at its wall limit of 1.5 s" in wider.stderr
    assert sorted(path.stem for path in (tmp_path / "run" / "plan").glob("*.json")) == ids


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [("--cell-memory", "8", "expected an amount of memory"), ("--cell-seconds", "0", "a number above 0")],
)
def test_a_limit_that_is_none_is_a_usage_error(tmp_path: Path, option: str, value: str, words: str) -> None:
    done = distbench(tmp_path, "run", "digits", "--out", "run", option, value, check=2)
    assert words in done.stderr
    assert not (tmp_path / "run").exists()
