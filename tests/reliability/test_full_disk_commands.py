"""A disk that takes no more bytes, under every command that writes: exit 5, one line, and what was there stays.

A limit on the size of a file stands for the disk: the same error from the same system calls, without privileges.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from distbench.errors import EnvironmentFault
from distbench.store.files import damage
from distbench.store.leftovers import is_temporary
from distbench.store.run_dir import RunDir
from tests.importers.logs import choice_row, write_output
from tests.reliability.stuck import environment, install, write_suite

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "reliability"))
from forks import Server


class Place:
    """A folder, and distbench in forks of one warm process."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.known = environment(install(folder))
        self.server = Server(self.known)

    def __call__(self, *arguments: str, largest: int | None = None) -> tuple[int, str]:
        said = self.folder / "said.log"
        code = self.server.start([*arguments], self.folder, self.known, said, largest).wait(300)
        return code, said.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("full"))
    write_suite(made.folder)
    assert made("run", "suite.yaml", "--out", "one") == (0, (made.folder / "said.log").read_text())
    yield made
    made.server.close()


def contents(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in {".lock", ".lock.pid", "journal.jsonl"}
    }


def refused(code: int, said: str) -> str:
    """Return the one error line of a command that met a full disk."""
    assert code == 5, said
    assert "Traceback" not in said
    (line,) = [line for line in said.splitlines() if line.startswith("distbench: error")]
    assert line.startswith("distbench: error[E005] ")
    return line


WRITERS = {  # command, and what was there before it
    "report": (("report", "one", "--out", "out/page.html"), "out/page.html"),
    "csv": (("export", "one", "--format", "csv", "--set", "table=all", "--out", "out/csv"), None),
    "json": (("export", "one", "--format", "json", "--out", "out/r.json"), "out/r.json"),
    "parquet": (("export", "one", "--format", "parquet", "--set", "table=all", "--out", "out/pq"), None),
    "hf": (("export", "one", "--format", "hf", "--student", "fine", "--out", "out/hf"), None),
    "gate": (("gate", "one", "--on-inconclusive", "pass", "--json-file", "out/decision.json"), "out/decision.json"),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_written_whole_or_the_old_one_stays(place: Place, name: str) -> None:
    command, old = WRITERS[name]
    (place.folder / "out").mkdir(exist_ok=True)
    if old is not None:
        (place.folder / old).write_text("old")
    before = contents(place.folder / "one")
    line = refused(*place(*command, largest=300))
    assert "File too large writing " in line
    assert "MiB free" in line
    assert contents(place.folder / "one") == before
    if old is not None:
        assert (place.folder / old).read_text() == "old"
    assert not [path for path in (place.folder / "out").rglob("*") if is_temporary(path.name)]


def test_a_plan_that_does_not_fit_begins_nothing(place: Place) -> None:
    line = refused(*place("run", "suite.yaml", "--out", "small", largest=200))
    assert "small/" in line
    assert list((place.folder / "small" / "cells").iterdir()) == []


def test_cells_that_do_not_fit_fail_and_the_others_stay(place: Place) -> None:
    run = place.folder / "one"
    sizes = {path.stat().st_size for path in run.glob("cells/*/samples.parquet")}
    plans = [path.stat().st_size for path in (*run.glob("plan/*.json"), *run.glob("cells/*/*.json"))]
    # a limit between the two lets models be made and no samples be written
    largest = max(*plans, (run / "manifest.json").stat().st_size) + 200
    assert largest < min(sizes)
    code, said = place("run", "suite.yaml", "--out", "some", "--set", "seed=5", largest=largest)
    refused(code, said)
    finished = list((place.folder / "some" / "cells").iterdir())  # and nothing half-made beside them
    assert len(finished) == 2
    assert all(damage(path) is None for path in finished)
    code, said = place("run", "suite.yaml", "--out", "some", "--set", "seed=5")  # with room again it goes on
    assert code == 0, said


def test_an_import_appears_whole_or_not_at_all(place: Place) -> None:
    for name, wrong in (("big", 7), ("small", 5)):
        write_output(place.folder / name, name, {"piqa": [choice_row(i, right=bool(i % wrong)) for i in range(300)]})
    refused(*place("import", "lm-eval", "big", "small", "--out", "imported", largest=2000))
    assert not (place.folder / "imported").exists()
    assert not [path for path in place.folder.iterdir() if ".import-" in path.name]


def test_a_cache_that_is_full_costs_the_sharing_only(place: Place, tmp_path: Path) -> None:
    """The cache lies on another disk, which takes nothing more; the run's own disk does."""
    full = Path("/dev/full")
    assert full.exists()
    place.known["DISTBENCH_CACHE"] = str(tmp_path / "cache")
    (tmp_path / "cache" / "v1").mkdir(parents=True)
    (tmp_path / "cache" / "v1" / "cells").symlink_to(full)
    try:
        code, said = place("run", "suite.yaml", "--out", "unshared", "--set", "seed=6")
    finally:
        place.known["DISTBENCH_CACHE"] = str(place.folder / "cache")
    assert code == 0, said
    assert said.count("nothing new is shared with other runs") == 1


def test_a_torn_line_of_the_journal_spoils_no_other(tmp_path: Path) -> None:
    run = RunDir.prepare(tmp_path / "run")
    run.log("done", cell="a")
    with (run.path / "journal.jsonl").open("a") as file:
        file.write('{"at": "2026-01-01T00:00:00Z", "eve')
    with run.lock():
        run.log("done", cell="b")
    lines = (run.path / "journal.jsonl").read_text().splitlines()
    assert [json.loads(line)["cell"] for line in (lines[0], lines[-1])] == ["a", "b"]


def test_a_journal_that_does_not_fit_is_one_line(tmp_path: Path) -> None:
    run = RunDir.prepare(tmp_path / "run")
    (run.path / "journal.jsonl").symlink_to("/dev/full")
    with pytest.raises(EnvironmentFault, match=r"No space left on device writing .*journal\.jsonl"):
        run.log("done", cell="a")
