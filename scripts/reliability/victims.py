"""Commands that write, each with the state that it needs, and what must be true of what it writes."""

from __future__ import annotations

import argparse
import hashlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import evidence
from phases import phase_of

sys.path.insert(0, str(Path(__file__).parents[2]))  # the fixtures of the tests: lm-eval logs, a hub, tiny models
Reference = dict[str, dict[str, str]]

QUICK = """\
version: 1
name: quick
device: cpu
threads: 1
teachers:
  t: {use: quick, fit: {use: hard-labels, data: {use: quick-rows}}}
students:
  - {name: kd, of: t, init: {use: quick}, distil: {use: soft-labels, data: {use: quick-rows}}}
  - {name: rounded, of: t, quantise: {use: quick-round}}
tasks:
  - {use: classification, name: one, data: {use: quick-rows}}
  - {use: classification, name: two, samples: 100, data: {use: quick-rows}}
gate: {retained: 0.9, task_floor: 0.8}
"""
TRAINED = """\
version: 1
name: trained
device: cpu
threads: 1
teachers:
  big: {use: hf-causal, source: TEACHER}
students:
  - name: kd
    of: big
    init: {use: layer-drop, keep: KEEP}
    distil:
      {use: soft-labels, data: {use: teacher-sampled, sequences: 6, length: LENGTH, heldout: 2}, control: none, BUDGET}
tasks:
  - {use: lm-eval, name: distbench_facts, samples: 4}
gate: {retained: 0.9, task_floor: 0.8}
"""


@dataclass(frozen=True)
class Victim:
    """A command, how its place is prepared, and how often one place is disturbed before it may finish."""

    name: str
    command: tuple[str, ...]
    prepare: Callable[[Path], None]
    starts: int = 30
    makes_run: bool = True
    ends: tuple[int, ...] = (0,)  # exit codes of an undisturbed start; an import that is complete is not done again: 2
    preload: str = ""  # modules that a server imports before it forks

    def phase(self, place: Path, workers: list[int]) -> str:
        """Say what is being done."""
        if self.makes_run and self.name != "import":
            return phase_of(place / "run", place / "cache", workers)
        begun = any(place.glob(".run.import-*")) or any((place / "out").rglob("*"))
        return f"{self.name}: writing" if begun else f"{self.name}: before it writes"

    def share_left(self, place: Path) -> float:
        """Return about how much of the time of an undisturbed command is still to be spent."""
        if not self.makes_run or not (place / "run" / "manifest.json").exists():
            return 1.0
        planned = len(list((place / "run" / "plan").glob("[!.]*.json")))
        done = len(list((place / "run" / "cells").glob("[!.]*")))
        return 0.3 + 0.7 * (1.0 - done / max(1, planned))  # starting, comparing and the report are always due

    def violations(self, place: Path, said: str, reference: Reference) -> Iterator[str]:
        """Yield what is wrong right after a signal."""
        if self.makes_run:
            yield from evidence.violations(place / "run", place / "cache", said, reference)
        expected = reference.get("out", {})
        for name, digest in _files(place / "out").items():
            if expected and expected.get(name) != digest:
                yield f"out/{name} is there and is not what an undisturbed command writes"

    def outcome(self, place: Path) -> Reference:
        """Return what it made: the content of every cell, and of every file in out/."""
        cells = (p for p in (place / "run" / "cells").glob("*") if not p.name.startswith("."))
        made = {cell.name: evidence.content(cell) for cell in cells} if self.makes_run else {}
        return made | ({"out": _files(place / "out")} if (place / "out").exists() else {})


def _files(folder: Path) -> dict[str, str]:
    """Return the hashes of the visible files below a folder that hold no times."""
    paths = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.name not in evidence.CARDS]
    visible = [p for p in paths if not any(part.startswith(".") for part in p.relative_to(folder).parts)]
    return {p.relative_to(folder).as_posix(): hashlib.sha256(p.read_bytes()).hexdigest() for p in visible}


def _quick(more: str = "") -> Callable[[Path], None]:
    def prepare(place: Path) -> None:
        (place / "suite.yaml").write_text(QUICK + more, encoding="utf-8")

    return prepare


def _recorded(place: Path) -> None:
    text = QUICK.replace("t: {use: quick,", "t: {use: quick, seconds: 2.0,")
    (place / "suite.yaml").write_text(text, encoding="utf-8")


def _trained(teacher: Path | None, keep: int, length: int, budget: str) -> Callable[[Path], None]:
    def prepare(place: Path) -> None:
        source = teacher
        if source is None:
            from tests.conftest import save_tiny_lm

            source = save_tiny_lm(place / "teacher", seed=3)
        text = TRAINED.replace("TEACHER", str(source)).replace("KEEP", str(keep)).replace("LENGTH", str(length))
        (place / "suite.yaml").write_text(text.replace("BUDGET", budget), encoding="utf-8")

    return prepare


def _imported(place: Path) -> None:
    from tests.importers.logs import choice_row, write_output

    for name, wrong in (("big", 7), ("small", 5)):
        rows = [choice_row(i, right=bool(i % wrong)) for i in range(2000)]
        write_output(place / name, name, {"piqa": rows})


def _finished(run: Path) -> Callable[[Path], None]:
    def prepare(place: Path) -> None:
        (place / "finished").symlink_to(run)
        (place / "out").mkdir()

    return prepare


def _reader(run: Path | None, *command: str) -> Callable[[argparse.Namespace], Victim]:
    def made(given: argparse.Namespace) -> Victim:
        source = run or given.run
        if source is None:
            raise SystemExit("this victim reads a finished run: --run DIR")
        words = tuple(word.replace("RUN", "finished") for word in command)
        return Victim(command[0], words, _finished(Path(source).resolve()), 8, makes_run=False)

    return made


RUN = ("run", "suite.yaml", "--out", "run")
MEASURED = "measure: {load: {}, latency: {batch_sizes: [1], rounds: 12, launches: 2}}\n"
VICTIMS: dict[str, Callable[[argparse.Namespace], Victim]] = {
    "quick": lambda _: Victim("run", RUN, _quick()),
    "quick-measured": lambda _: Victim("run with measurements", RUN, _quick(MEASURED)),
    "quick-recorded": lambda _: Victim("run with a slow teacher", RUN, _recorded),
    "distil": lambda _: Victim("distil", ("distil", "suite.yaml", "--out", "run", "--to", "out"), _quick()),
    "trained": lambda _: Victim(
        "run of a tiny language model",
        RUN,
        _trained(None, 2, 16, "steps: 30, batch_size: 4, checkpoint_every: 5"),
        preload="distbench.models.hf_causal distbench.training.causal_lm distbench.tasks.lm_eval lm_eval.tasks",
    ),
    "smollm2": lambda given: Victim(
        "run of SmolLM2-135M",
        RUN,
        _trained(given.teacher, 2, 12, "steps: 6, batch_size: 2, checkpoint_every: 2"),
        starts=10,
    ),
    "import": lambda _: Victim(
        "import", ("import", "lm-eval", "big", "small", "--out", "run"), _imported, starts=8, ends=(0, 2)
    ),
    "report": _reader(None, "report", "RUN", "--out", "out/report.html"),
    "csv": _reader(None, "export", "RUN", "--format", "csv", "--out", "out/csv"),
    "parquet": _reader(None, "export", "RUN", "--format", "parquet", "--out", "out/parquet"),
    "hf": _reader(None, "export", "RUN", "--format", "hf", "--out", "out/hf"),
    "gate": _reader(None, "gate", "RUN", "--junit", "out/j.xml", "--markdown", "out/m.md", "--json-file", "out/d.json"),
}
