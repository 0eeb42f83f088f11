"""A stand-in for Slurm: `sbatch` writes down what it is asked, and `work` does it as a cluster would.

Tasks of every array that may run do so several at a time, in random order, each with Slurm's variables and directory.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

SBATCH = """\
#!{python}
import json, os, sys
from pathlib import Path
spool = Path(os.environ["FAKE_SPOOL"])
number = 100 + len(list(spool.glob("*.json")))
(spool / f"{{number}}.json").write_text(json.dumps(sys.argv[1:]))
print(f"{{number}};fake")
"""


@dataclass(frozen=True)
class Submitted:
    """A job as sbatch was asked for it."""

    number: int
    options: dict[str, str]
    script: str
    arguments: list[str]

    @property
    def tasks(self) -> list[int | None]:
        """The numbers of an array's tasks; one None where it is no array."""
        if "array" not in self.options:
            return [None]
        spans = [span.partition("-") for span in self.options["array"].partition("%")[0].split(",")]
        return [task for first, _, last in spans for task in range(int(first), int(last or first) + 1)]

    @property
    def after(self) -> list[int]:
        """The jobs that must have ended before."""
        kind, _, numbers = self.options.get("dependency", "afterany").partition(":")
        assert kind == "afterany"
        return [int(number) for number in numbers.split(":") if number]


class Cluster:
    """A folder with a fake sbatch, and what was submitted to it."""

    def __init__(self, folder: Path) -> None:
        self.bin, self.spool = folder / "bin", folder / "spool"
        self.bin.mkdir(parents=True)
        self.spool.mkdir()
        sbatch = self.bin / "sbatch"
        sbatch.write_text(SBATCH.format(python=sys.executable))
        sbatch.chmod(0o755)
        self.codes: dict[tuple[int, int | None], int] = {}

    def submit(self, script: Path) -> str:
        """Run submit.sh; return what it said."""
        place = os.environ | {"PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}", "FAKE_SPOOL": str(self.spool)}
        done = subprocess.run(["bash", str(script)], env=place, capture_output=True, text=True, check=True, timeout=60)
        assert not done.stderr
        return done.stdout

    def jobs(self) -> list[Submitted]:
        """Return what was submitted, in order."""
        return [_parsed(int(file.stem), json.loads(file.read_text())) for file in sorted(self.spool.glob("*.json"))]

    def work(self, seed: int, at_once: int = 2) -> list[tuple[int, int | None]]:
        """Do all of it; return (job, task) in the order in which they began."""
        waiting, order, chance = self.jobs(), list[tuple[int, int | None]](), random.Random(seed)
        with ThreadPoolExecutor(at_once) as pool:
            while waiting:
                pending = {job.number for job in waiting}
                able = [job for job in waiting if not pending & set(job.after)]
                assert able, "jobs that wait for each other"
                tasks = [(job, task) for job in able for task in job.tasks]
                chance.shuffle(tasks)
                order += [(job.number, task) for job, task in tasks]
                running = {pool.submit(_run, job, task): (job.number, task) for job, task in tasks}
                self.codes |= {running[done]: done.result() for done in _ended(running)}
                waiting = [job for job in waiting if job not in able]
        return order


def _ended(running: dict[Future[int], tuple[int, int | None]]) -> Iterator[Future[int]]:
    pending = set(running)
    while pending:
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        yield from done


def _parsed(number: int, words: list[str]) -> Submitted:
    given = list(itertools.takewhile(lambda word: word.startswith("--"), words))
    options = {name: value for name, _, value in (word.removeprefix("--").partition("=") for word in given)}
    script, *arguments = words[len(given) :]
    return Submitted(number, options, script, arguments)


def _run(job: Submitted, task: int | None) -> int:
    """Run a task as slurmd would: a copy of the script, Slurm's variables, and the output where it was asked for."""
    named = {"%x": job.options["job-name"], "%A": str(job.number), "%a": str(task), "%j": str(job.number), "%%": "%"}
    output = re.sub("%.", lambda found: named[found[0]], job.options["output"])
    place = os.environ | {"SLURM_JOB_ID": str(job.number), "OMP_NUM_THREADS": "1"}
    if task is not None:
        place |= {"SLURM_ARRAY_JOB_ID": str(job.number), "SLURM_ARRAY_TASK_ID": str(task)}
    text = Path(job.script).read_text(encoding="utf-8")  # slurmd runs a copy of its own: $0 says nothing about the run
    with Path(output).open("ab") as log:
        return subprocess.run(
            ["bash", "-c", text, "slurm_script", *job.arguments], env=place, cwd=job.options["chdir"],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False, timeout=500,
        ).returncode  # fmt: skip
