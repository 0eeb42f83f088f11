"""What a cluster reserves: the suite's word, else the memory that such a cell has taken here, else nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import pytest

from distbench.errors import EnvironmentFault
from distbench.executors.job import Resources, enough
from distbench.executors.local import LocalExecutor
from distbench.executors.local_engine import LocalEngine, LocalOptions
from distbench.executors.ray_places import Node, holders, missing
from tests.command import Here, here
from tests.schedulers.suites import SUITE, write

GIB = 1 << 30


class Cluster(LocalEngine):
    """Other machines, as far as reserving goes: one node; the jobs run here."""

    elsewhere = True
    memory = 64 * GIB
    seen: ClassVar[list[Resources]] = []

    def check(self, wanted: Iterable[tuple[str, Resources]]) -> None:
        nodes = [Node("n", "10.0.0.1", {"CPU": 4.0, "memory": float(self.memory)})]
        for title, resources in wanted:
            if not holders(resources, nodes):
                raise EnvironmentFault(f"'{title}' {missing(resources, nodes)}")

    def executor(self, run: Path) -> LocalExecutor:
        seen = self.seen

        class Noting(Here):
            def submit(self, job: Any) -> None:
                seen.append(job.resources)
                super().submit(job)

        return Noting(run)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path, SUITE | {"students": SUITE["students"][:1]})
    monkeypatch.setattr("distbench.cli.engines.engine_of", lambda name, options: Cluster(LocalOptions()))
    monkeypatch.setattr(Cluster, "seen", [])
    return tmp_path


def run(place: Path, out: str, *words: str, check: int = 0) -> str:
    """Run with an empty cache; return what was said on the way."""
    done = here(place, "run", "suite.yaml", "--out", out, *words, check=check, DISTBENCH_CACHE=str(place / f"{out}.c"))
    return done.stderr


def peaks(run: Path) -> list[int]:
    return [json.loads(path.read_text())["peak_memory_bytes"] for path in run.glob("cells/*/record.json")]


def test_memory_is_what_was_seen_unless_the_suite_says_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(place, "first")
    assert "no memory is reserved for 4 of 4 cells: how much they take was not seen here" in first
    assert {each.memory for each in Cluster.seen} == {None}
    Cluster.seen.clear()
    again = run(place, "again", "--history", "first")
    assert "no memory is reserved for 1 of 4 cells" in again  # the teacher's fit is only scaled from another model's
    reserved = [each.memory for each in Cluster.seen if each.memory is not None]
    assert len(reserved) == len([each for each in Cluster.seen if each.estimated]) >= 1
    assert min(peaks(place / "first")) <= min(reserved) <= max(reserved) <= 2 * max(peaks(place / "first"))
    Cluster.seen.clear()
    stated = ["--set", "resources.memory=1GiB", "--set", "resources.evaluate.memory=3GiB"]
    run(place, "stated", "--history", "first", *stated)
    assert {(each.memory, each.estimated) for each in Cluster.seen} == {
        (3 * GIB, False)
    }  # made and asked in one process
    monkeypatch.setattr(Cluster, "memory", 1 << 20)  # no node could ever hold what was seen
    said = run(place, "huge", "--history", "first", check=5)
    assert "no node has memory enough" in said
    assert "the memory is what such a cell has taken before (resources.memory in the suite goes before that)" in said
    assert not (place / "huge").exists()


def test_cells_that_share_a_process_reserve_what_the_largest_needs() -> None:
    small, large, unknown = Resources(memory=GIB), Resources(memory=2 * GIB, estimated=True), Resources(cpus=2)
    assert enough([small, large, unknown]) == Resources(cpus=2, memory=2 * GIB, estimated=True)
    assert enough([unknown]).memory is None
