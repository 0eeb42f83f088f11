"""`distbench cell`: one job of a prepared run, beside others, as often as a scheduler starts it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from distbench.schedulers.planned import planned_cells
from distbench.schedulers.stages import stages_of
from distbench.store.claims import is_held
from distbench.store.hold import hold_cells
from distbench.store.run_dir import RunDir
from tests.command import Done, here
from tests.schedulers.suites import SUITE, write


def prepared(folder: Path, suite: dict[str, Any] | None = None) -> dict[str, Any]:
    """Prepare a run; return its plan as data."""
    write(folder, suite)
    words = ["plan", "suite.yaml", "--out", "run", "--format", "json"]
    document: dict[str, Any] = json.loads(here(folder, *words, check=0, **cache(folder)).stdout)
    return document


def cache(folder: Path) -> dict[str, str]:
    return {"DISTBENCH_CACHE": str(folder / "cache")}


def cell(folder: Path, *words: str, check: int) -> Done:
    return here(folder, "cell", "run", *words, check=check, **cache(folder))


def journal(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "run" / "journal.jsonl").read_text().splitlines()]


def test_a_cell_is_run_once_and_needs_what_it_needs(tmp_path: Path) -> None:
    prepared(tmp_path)
    early = cell(tmp_path, "--stage", "evaluate-3", "--index", "0", check=4)
    assert "'shallow on digits' needs 'make shallow', which is not done" in early.stderr
    made = cell(tmp_path, "--index", "0", check=0)
    assert "done  make deep" in made.stderr
    (first,) = (tmp_path / "run" / "cells").iterdir()
    before = (first / "record.json").stat().st_mtime_ns
    again = cell(tmp_path, "--id", first.name[:9], check=0)
    assert again.stderr == "finished already: make deep\n"
    assert (first / "record.json").stat().st_mtime_ns == before
    cell(tmp_path, "--stage", "evaluate-2", "--index", "0", check=0)
    unfinished = here(tmp_path, "finish", "run", check=4, **cache(tmp_path))
    assert "4 of 6 cells are not finished" in unfinished.stderr
    assert (tmp_path / "run" / "result.json").is_file()
    listed = json.loads(cell(tmp_path, "--list", "--json", check=0).stdout)["jobs"]
    assert [(job["stage"], job["index"], job["finished"]) for job in listed] == [
        ("make-1", 0, True), ("make-2", 0, False), ("make-2", 1, False),
        ("evaluate-2", 0, True), ("evaluate-3", 0, False), ("evaluate-3", 1, False),
    ]  # fmt: skip
    events = [line["event"] for line in journal(tmp_path)]
    assert (events.count("done"), events.count("failed")) == (2, 1)
    assert not list((tmp_path / "run" / ".claims").iterdir())


def test_several_evaluations_of_one_model_can_be_one_job(tmp_path: Path) -> None:
    tasks = [{"use": "classification", "name": f"digits-{n}", "data": {"use": "sklearn-digits"}} for n in range(3)]
    prepared(tmp_path, SUITE | {"tasks": tasks})
    run = RunDir(tmp_path / "run")
    cells = planned_cells(run, run.manifest())
    sizes = {stage.name: [len(job) for job in stage.jobs] for stage in stages_of(cells, 2)}
    assert sizes == {"make-1": [1], "make-2": [1, 1], "evaluate-2": [2, 1], "evaluate-3": [2, 1, 2, 1]}


def test_the_same_cell_twice_at_the_same_time_is_refused(tmp_path: Path) -> None:
    document = prepared(tmp_path)
    ids = document["jobs"][0]["cells"]
    with hold_cells(tmp_path / "run", ids):
        refused = cell(tmp_path, "--id", ids[0], check=5)
        assert f"is being worked on by process {os.getpid()}" in refused.stderr
        assert (
            "being worked on" in here(tmp_path, "run", "suite.yaml", "--out", "run", check=5, **cache(tmp_path)).stderr
        )
    assert not any((tmp_path / "run" / "cells").iterdir())


@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_cell_leaves_nothing_behind_and_starts_again(tmp_path: Path, sign: signal.Signals) -> None:
    """What happens at a time limit, on a preemption or on a node that dies; the scheduler then starts it again."""
    prepared(tmp_path)
    cell(tmp_path, "--index", "0", check=0)
    (job,) = (job for job in stages(tmp_path) if job["stage"] == "evaluate-2")
    words = [sys.executable, "-m", "distbench", "cell", "run", "--id", job["id"]]
    place = os.environ | cache(tmp_path) | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(words, cwd=tmp_path, env=place, stderr=subprocess.PIPE, text=True) as process:
        wait_until(lambda: is_held(tmp_path / "run" / ".claims" / job["id"]) and children(process.pid))
        mine = children(process.pid)
        process.send_signal(sign)
        _, said = process.communicate(timeout=60)
    assert process.returncode == (143 if sign == signal.SIGTERM else -9), said
    wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in mine))
    assert not (tmp_path / "run" / "cells" / job["id"]).exists()
    assert not is_held(tmp_path / "run" / ".claims" / job["id"])
    cell(tmp_path, "--id", job["id"], check=0)
    assert RunDir(tmp_path / "run").is_done(job["id"])
    assert not list((tmp_path / "run" / "cells").glob(".tmp-*"))


def stages(folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(cell(folder, "--list", "--json", check=0).stdout)["jobs"]
    return found


def children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def wait_until(there: Any) -> None:
    deadline = time.monotonic() + 120
    while not there():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_another_environment_is_refused_because_ids_hold_versions(tmp_path: Path) -> None:
    prepared(tmp_path)
    file = tmp_path / "run" / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["packages"]["scikit-learn"] = "0.1"
    file.write_text(json.dumps(manifest))
    assert "where the plan says 0.1" in cell(tmp_path, "--index", "0", check=5).stderr
    assert not any((tmp_path / "run" / "cells").iterdir())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "name what to run"),
        (["--index", "99"], "the plan has 6 jobs"),
        (["--stage", "evaluat-3", "--index", "0"], "did you mean 'evaluate-3'?"),
        (["--stage", "make-2", "--index", "2"], "stage make-2 has 2 jobs"),
        (["--id", "zzz"], "is no cell of this run"),
        (["--id", "a", "--index", "0"], "not both"),
        (["--index", "-1"], "greater than or equal to 0"),
        (["--index", "0", "--chunk", "2"], "--stage"),
    ],
)
def test_what_names_no_job_is_refused(tmp_path: Path, words: list[str], said: str) -> None:
    prepared(tmp_path)
    assert said in cell(tmp_path, *words, check=2).stderr


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    assert "no run at" in here(tmp_path, "cell", "nothing", "--index", "0", check=2).stderr
