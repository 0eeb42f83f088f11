"""A few kills of the loop whose long runs stand under reports/reliability; its mutants still fit the code."""

from __future__ import annotations

import argparse
import compileall
import json
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "reliability"))
import evidence
import kill_loop
from mutants import MUTANTS, patched_copy
from victims import VICTIMS

PUBLISHED = Path(__file__).parents[2] / "reports" / "reliability"


def test_a_run_that_is_killed_again_and_again_ends_as_an_undisturbed_one() -> None:
    victim = VICTIMS["quick"](argparse.Namespace())
    tally = kill_loop.hunt(victim, None, 8, seed=time.time_ns(), until=time.time() + 240, forked=True)
    assert tally.broken == []
    assert tally.signals + sum(tally.points.values()) >= 1
    assert tally.trials >= 1
    assert tally.exits["last start: 0"] == tally.trials


@pytest.mark.parametrize("name", MUTANTS)
def test_a_mutant_changes_the_code_and_still_compiles(name: str, tmp_path: Path) -> None:
    sound, broken = patched_copy(None, tmp_path / "sound"), patched_copy(name, tmp_path / "broken")
    files = {file for file, _, _ in MUTANTS[name]}
    assert all((sound / "distbench" / f).read_text() != (broken / "distbench" / f).read_text() for f in files)
    assert all(compileall.compile_file(str(broken / "distbench" / file), quiet=2) for file in files)


def test_the_loop_sees_what_is_lost_and_what_is_half_written(tmp_path: Path) -> None:
    run, cache = tmp_path / "run", tmp_path / "cache"
    (run / "cells" / "there").mkdir(parents=True)
    (run / "plan").mkdir()
    (run / "plan" / "lost.json").write_text(json.dumps({"title": "t on one"}))
    (run / "plan" / "half.json").write_text('{"title"')
    (run / "manifest.json").write_text('{"cells": [')
    (run / "report.html").write_text("<html>")
    (cache / "v1" / "cells" / "k").mkdir(parents=True)
    (run / "plan" / "half.json").unlink()
    found = list(evidence.violations(run, cache, "     done  t on one  0.1 s", {}))
    assert found == [
        "cell lost was acknowledged and is not there",
        "cell there is visible and damaged: SHA256SUMS is missing",
        "cache entry cells/k is visible and damaged: SHA256SUMS is missing",
        "manifest.json is half written",
        "report.html is half written",
    ]


def test_what_is_published_is_complete() -> None:
    """At least 300 signals, nothing lost, the main job among them, every mutant caught."""
    documents = {path.stem: json.loads(path.read_text()) for path in PUBLISHED.glob("kill-*.json")}
    sound = [each for each in documents.values() if each["mutant"] is None]
    assert sum(each["signals"] for each in sound) >= 300
    assert [each["broken"] for each in sound if each["broken"]] == []
    assert documents["kill-smollm2"]["signals"] >= 1
    assert {each["mutant"] for each in documents.values() if each["broken"]} == set(MUTANTS)
    for each in documents.values():
        assert sum(row["count"] for row in each["table"]) == each["signals"]
