"""Faults that need no kill: memory that ends in an evaluation, a clock that is set back, a run that goes on elsewhere.

Kills, limits, signals and full disks are in tests/reliability; docs/reliability.md says which test covers which fault.
"""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import pytest

from distbench.host import HostFacts
from distbench.models.decision_tree import DecisionTree
from tests.acceptance.row import RUN, Place
from tests.acceptance.run_rows import reviews
from tests.command import here


class OutOfMemoryError(RuntimeError):
    """Called as torch calls its own."""


def records(run: Path) -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in run.glob("cells/*/record.json")]


def test_memory_that_ends_in_an_evaluation_fails_that_cell_alone(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even one row fits: it was tried in ever smaller batches, each of which was said, and the others go on."""
    reviews()(place)
    honest = DecisionTree.classify

    def full(model: DecisionTree, x: Any) -> Any:
        if model.folder is not None and model.folder.name == "small":
            raise OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")
        return honest(model, x)

    monkeypatch.setattr(DecisionTree, "classify", full)
    done = here(place.folder, *RUN, DISTBENCH_CACHE=str(place.folder / "cache"))
    assert done.returncode == 4, done.stderr
    assert "small on reviews: memory ended at 2 rows at once; it goes on with 1" in done.stderr
    assert "FAILED  small on reviews" in done.stderr
    assert "out of memory at a peak of" in done.stderr
    assert "Tried to allocate 20.00 GiB" in done.stderr
    assert [each["title"] for each in records(place.folder / "run")] == ["big on reviews"]
    monkeypatch.undo()  # the machine has memory again: only the failed cell is asked
    again = here(place.folder, *RUN, check=0, DISTBENCH_CACHE=str(place.folder / "cache"))
    assert "2 cells, 1 of them finished before" in again.stderr


def test_a_clock_that_is_set_back_shortens_nothing(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    reviews()(place)
    year = itertools.count(2_000_000_000, -31_536_000)
    monkeypatch.setattr(time, "time", lambda: float(max(0, next(year))))
    here(place.folder, *RUN, check=0, DISTBENCH_CACHE=str(place.folder / "cache"))
    monkeypatch.undo()
    assert [0 <= each["seconds"] < 600 for each in records(place.folder / "run")] == [True, True]
    lines = (place.folder / "run" / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    spent = [json.loads(line)["seconds"] for line in lines if '"event": "done"' in line]
    assert len(spent) == 2
    assert all(0 <= each < 600 for each in spent)


def test_a_run_that_goes_on_elsewhere_says_so(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every record has the fingerprint of its machine; numbers of two of them are never mixed without a word."""
    from distbench.cell import commit

    reviews()(place)
    machines = iter("ab")
    honest = commit.host_facts

    def facts(*arguments: Any) -> HostFacts:
        return honest(*arguments).model_copy(update={"fingerprint": next(machines) * 16})

    monkeypatch.setattr(commit, "host_facts", facts)
    done = here(place.folder, *RUN, check=0, DISTBENCH_CACHE=str(place.folder / "cache"))
    assert {each["host"]["fingerprint"] for each in records(place.folder / "run")} == {"a" * 16, "b" * 16}
    assert "2 different machines" in " ".join(done.stdout.split())
