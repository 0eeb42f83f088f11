"""What a person is told when a run goes on: what was kept, and what a killed training cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from distbench.execute.kept import kept_words
from distbench.execute.reporter import TerminalReporter
from distbench.execute.run import Runner, how_it_died
from distbench.executors.job import Ended, Job
from distbench.store.cache import Cache
from distbench.store.run_dir import RunDir
from distbench.training import checkpoints
from tests.command import here
from tests.conftest import CPU

SUITE = """\
version: 1
name: goes-on
device: cpu
threads: 1
teachers:
  t: {use: mlp, hidden: [8], fit: {use: hard-labels, data: {use: sklearn-digits}, steps: 12, checkpoint_every: 4}}
students:
  - name: s
    of: t
    init: {use: decision-tree, max_depth: 3}
    distil: {use: hard-labels, control: none, data: {use: sklearn-digits}}
tasks:
  - {use: classification, name: digits, samples: 50, data: {use: sklearn-digits}}
"""


def test_a_training_that_goes_on_says_from_where_and_what_was_done_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "suite.yaml").write_text(SUITE)
    known = {"DISTBENCH_CACHE": str(tmp_path / "cache")}
    from distbench.training import classifier

    monkeypatch.setattr(checkpoints.Pulse, "SECONDS", 0.0)
    step = classifier.Course._step

    def dies(self: Any, number: int) -> float:
        if number == 11:
            raise MemoryError("here it was killed")
        return step(self, number)

    monkeypatch.setattr(classifier.Course, "_step", dies)
    done = here(tmp_path, "run", "suite.yaml", "--out", "run", check=4, **known)
    assert "out of memory" in done.stderr
    monkeypatch.setattr(classifier.Course, "_step", step)
    done = here(tmp_path, "run", "suite.yaml", "--out", "run", check=0, **known)
    assert "a killed training went on from step 8, 2 steps were done again" in done.stderr
    (record,) = [
        found
        for path in (tmp_path / "run" / "cells").glob("*/record.json")
        if (found := json.loads(path.read_text()))["title"] == "make t"
    ]
    training = record["result"]["training"]
    assert (training["resumed_from"], training["redone_steps"]) == (8, 2)


def test_what_is_kept_is_counted_and_checkpoints_are_named(tmp_path: Path) -> None:
    class Planned:
        def __init__(self, name: str) -> None:
            self.id, self.title = name, f"make {name}"

    run = RunDir.prepare(tmp_path / "run")
    folder = run.workplace("a")
    (folder / "record.json").write_text("{}")
    run.commit("a", folder)
    checkpoint = run.scratch("b") / "checkpoint-40"
    checkpoint.mkdir(parents=True)
    (checkpoint / "weights").write_text("42")
    checkpoints.seal(checkpoint, {})
    (run.scratch("b") / "checkpoint-50").mkdir()  # not complete
    cells: Any = [Planned(name) for name in "abc"]
    assert kept_words(run, cells) == (
        "everything that finished is kept: 1 of 3 cells; 'make b' will go on from step 40"
    )


def test_a_silent_cell_is_said_once_and_kept_in_the_journal(tmp_path: Path) -> None:
    class Silent:
        slots, retries = 1, 0

        def submit(self, job: Job) -> None:
            self.job = job

        def wait(self, on_event: Any) -> tuple[Job, Ended]:
            on_event(self.job, {"event": "started", "cell": "c"})
            on_event(self.job, {"event": "silent", "cell": "c", "seconds": 1800.0})
            return self.job, Ended(-9, "", why="ended at its wall limit of 7200 s")

        def stop(self) -> None:
            pass

    from distbench.schema.cell import MakeCell

    cell = MakeCell(id="c", title="make c", needs=[], role="student", use="mlp", teachers=[], settings=CPU)
    run = RunDir.prepare(tmp_path / "run")
    console = Console(record=True, width=200)
    runner = Runner([cell], run, Cache(tmp_path / "cache"), Silent(), TerminalReporter(console, quiet=True))
    state = runner.execute()
    assert state.failed == {"c": "ended at its wall limit of 7200 s"}
    assert state.exit_code == 4
    said = console.export_text()
    assert said.count("warning  make c: no sign of progress for 30 minutes; it may hang") == 1
    events = [json.loads(line)["event"] for line in (run.path / "journal.jsonl").read_text().splitlines()]
    assert "silent" in events


def test_how_a_worker_died_is_told_by_whoever_knows_most() -> None:
    assert how_it_died(Ended(-9, "", why="ended at its wall limit of 5 s")) == "ended at its wall limit of 5 s"
    assert how_it_died(Ended(-15, "")) == "killed by signal 15 (SIGTERM)"
    assert how_it_died(Ended(3, "first\nlast line\n")) == "the worker ended with exit code 3: last line"
