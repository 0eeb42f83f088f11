"""A row of the table of bad input: what is given, what is called, and how that must end."""

from __future__ import annotations

import contextlib
import hashlib
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.command import Done, distbench, here

RUN = ("run", "suite.yaml", "--out", "run")
PAYLOAD = "RAN"  # the file that every malicious input tries to make beside the suite
SECONDS = 3.0  # of CPU, where no model is needed: a busy machine stretches the wall clock, and users have idle ones


@dataclass
class Place:
    """An empty folder, and the models that a row may copy into it. `open`: closed when the row has ended."""

    folder: Path
    tiny_lm: Path
    trees: Path
    open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file and return where it is."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path


Make = Callable[[Place], object]


@dataclass(frozen=True)
class Row:
    """One input of one row.

    core: what the message must say; several texts where it must say several things. refused: nothing is written and
    standard error is one line; else the command has run, and `core` may stand anywhere in what it said. loads: a model
    or a whole run is at work, so no limit of CPU time. process: in a process of its own, as a user has it.
    """

    number: int
    name: str
    make: Make
    exit: int
    core: str | tuple[str, ...]
    argv: tuple[str, ...] = RUN
    refused: bool = True
    loads: bool = False
    process: bool = False
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What pytest calls it."""
        return f"{self.number} {self.name}"


def check(row: Row, place: Place) -> Done:
    """Make the input, call the command, and check everything that the row says."""
    with place.open:
        row.make(place)
        before = snapshot(place.folder)
        start = distbench if row.process else here
        began = cpu_seconds()
        done = start(place.folder, *row.argv, **row.environment)
        spent, after = cpu_seconds() - began, snapshot(place.folder)
    said = " ".join((done.stdout + done.stderr).split())
    assert done.returncode == row.exit, said
    assert "Traceback" not in said
    assert "internal error" not in said
    assert PAYLOAD not in after, "what came with the input has run"
    for core in [row.core] if isinstance(row.core, str) else row.core:
        assert core in said, f"{core!r} is not in: {said}"
    if row.refused:
        assert_one_line(done, row.exit)
        assert after == before
    if not row.loads:
        most = SECONDS * (2 if row.process else 1)  # a core that is shared takes twice as long to start an interpreter
        assert spent < most, f"{spent:.1f} s of CPU time"
    return done


def assert_one_line(done: Done, code: int) -> None:
    """One line on standard error, in the shape that every error has; nothing on standard output."""
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith(f"distbench: error[E{code:03}] "), lines[0]
    assert not done.stdout, done.stdout


def cpu_seconds() -> float:
    """Return the CPU time of this process and of its children that have ended."""
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + ended.ru_utime + ended.ru_stime


def snapshot(folder: Path) -> dict[str, str]:
    """Return every path below a folder with what it holds; of what a cell keeps locked or open, that it is there."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = str(path.readlink())
        elif path.is_file():
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
        else:
            found[name] = "folder" if path.is_dir() else "other"
    return found
