"""Every named moment of every operation on disk, one after the other: a fork dies there, and what it left is looked at.

Run as a program, because a process without threads can be forked safely: it prints how many moments each had.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from distbench.schema.cell import Settings
from distbench.schema.plan import Manifest
from distbench.schema.suite import StudentSpec, Suite, TeacherSpec
from distbench.store import crash
from distbench.store.cache import Cache
from distbench.store.files import copy_whole, damage, write_text
from distbench.store.leftovers import is_temporary
from distbench.store.run_dir import RunDir
from distbench.training import checkpoints

CELL = "0123456789abcdef"


def build(folder: Path) -> None:
    (folder / "model").mkdir(exist_ok=True)
    (folder / "model" / "weights").write_text("42" * 1000)
    (folder / "record.json").write_text("{}")


def begin(place: Path) -> None:
    run = RunDir.prepare(place / "run")
    settings = Settings(seed=0, device="cpu", dtype="float32", threads=1)
    suite = Suite(
        version=1, name="n", teachers={"t": TeacherSpec(use="quick")}, students=[StudentSpec(name="s", of="t")]
    )
    with run.lock():
        facts = {"run": "run", "created_at": "now", "distbench": "0", "command": [], "suite_digest": "d"}
        planned: dict[str, Any] = {"models": [], "cells": [], "task_order": []}
        run.write_manifest(Manifest(**facts, suite=suite, settings=settings, device_reason="r", **planned))


def commit(place: Path) -> None:
    begin(place)
    run = RunDir(place / "run")
    with run.lock():
        if not run.is_done(CELL):
            folder = run.workplace(CELL)
            build(folder)
            run.scratch(CELL).mkdir(parents=True, exist_ok=True)
            run.commit(CELL, folder)
        run.log("done", cell=CELL)


def share(place: Path) -> None:
    """Into the cache, and from there into another run."""
    commit(place)
    cache, other = Cache(place / "cache"), RunDir(place / "other")
    other.cells.mkdir(parents=True, exist_ok=True)
    cache.put("cells", CELL, place / "run" / "cells" / CELL)
    with other.lock():
        found = cache.find("cells", CELL)
        assert found is not None
        if not other.is_done(CELL):
            assert other.adopt(CELL, found)


def make(place: Path) -> None:
    folder, _ = Cache(place / "cache").get_or_make("signals", "k", build)
    assert damage(folder) is None


def rewrite(place: Path) -> None:
    write_text(place / "result.json", json.dumps({"new": "x" * 5000}))


def checkpoint(place: Path) -> None:
    scratch = place / "scratch"
    scratch.mkdir(exist_ok=True)
    last = checkpoints.newest(scratch)
    step = 1 if last is None else checkpoints.step_of(last) + 1
    for now in range(step, 5):
        folder = scratch / f"{checkpoints.PREFIX}{now}"
        with checkpoints.writing(scratch, 100):
            folder.mkdir()
            (folder / "weights").write_text(str(now))
        checkpoints.seal(folder, {"step": now})


def copy(place: Path) -> None:
    source, target = place / "source", place / "to" / "kd"
    source.mkdir(exist_ok=True)
    build(source)
    if not target.exists():
        copy_whole(source, target)


def look(place: Path) -> None:
    """What is visible is whole."""
    for folder in [*place.glob("*/cells/[!.]*"), *place.glob("cache/*/[!.]*")]:
        assert damage(folder) is None, folder
    for file in [*place.glob("result.json"), *place.glob("*/manifest.json")]:
        assert json.loads(file.read_text()), file
    for folder in (place / "scratch").glob("*"):
        if (folder / checkpoints.SEAL).exists():
            assert (folder / "weights").read_text() == folder.name.removeprefix(checkpoints.PREFIX)
    if (place / "to" / "kd").exists():
        assert (place / "to" / "kd" / "model" / "weights").read_text() == "42" * 1000


def forked(act: Callable[[Path], None], place: Path, moment: str = "") -> bool:
    """Do it in a fork, which dies at a moment where one is named; return whether it died."""
    pid = os.fork()
    if pid == 0:
        os.environ[crash.VARIABLE] = moment
        code = 1
        try:
            act(place)
            code = 0
        except BaseException:  # noqa: BLE001 - it must not go on as the parent does
            traceback.print_exc()
        finally:
            os._exit(code)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) in {0, -signal.SIGKILL}, (act.__name__, moment)
    return os.WIFSIGNALED(status)


def leftovers(place: Path) -> list[Path]:
    return [p for p in place.rglob("*") if is_temporary(p.name) or p.name.startswith(".tmp") or p.suffix == ".part"]


def main() -> None:
    root = Path(sys.argv[1])
    counts = {}
    for act in (commit, share, make, rewrite, begin, checkpoint, copy):
        number = 0
        while True:
            number += 1
            place = root / act.__name__
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir(parents=True)
            (place / "result.json").write_text(json.dumps({"old": 1}))
            died = forked(act, place, f"*#{number}")
            look(place)
            assert not forked(act, place)  # as the next start is: it sweeps what the dead one left
            look(place)
            assert leftovers(place) == [], (act.__name__, number, leftovers(place))
            if act is checkpoint:
                assert checkpoints.step_of(checkpoints.complete(place / "scratch")[-1]) == 4
            if not died:
                break
        counts[act.__name__] = number - 1
    sys.stdout.write(json.dumps(counts))


if __name__ == "__main__":
    main()
