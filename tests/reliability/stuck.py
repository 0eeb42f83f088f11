"""A student that does not simply learn: it holds memory, says nothing, starts children, or is killed."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts" / "reliability"))
import quick_model

SOURCE = """
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from quick_model import Fresh, Quick
from distbench.schema.strict import Strict


class Options(Strict):
    memory_mib: int = 0
    seconds: float = 0.0
    killed: bool = False
    child: str | None = None
    says: bool = True


class Stuck(Quick):
    def __init__(self, options=None, weights=None):
        super().__init__(weights)
        self.options = options or Options()

    def learn(self, signal_, recipe, session):
        wish = self.options
        if wish.child:  # one in the worker's group, as any program that a plug-in starts
            child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
            Path(wish.child).write_text(str(child.pid))
        block = np.ones(wish.memory_mib << 17)  # touched at once
        if wish.killed:
            os.kill(os.getpid(), signal.SIGKILL)
        until = time.monotonic() + wish.seconds
        while time.monotonic() < until:
            if wish.says:
                session.progress(0, 1, "waiting")
            time.sleep(0.05)
        return super().learn(signal_, recipe, session)


class FreshStuck:
    Options, needs, makes = Options, frozenset(), "quick"

    def __init__(self, options):
        self.options = options

    def make(self, parent, settings):
        return Stuck(self.options)
"""
SUITE = """\
version: 1
name: stuck
device: cpu
threads: 1
teachers:
  t: {use: quick, fit: {use: hard-labels, data: {use: quick-rows}}}
students:
STUDENTS
tasks:
  - {use: classification, name: one, samples: 50, data: {use: quick-rows}}
"""


def install(place: Path) -> dict[str, str]:
    """Write both packages; return the environment that knows them, with a cache of its own."""
    quick_model.install(place / "plugin")
    facts = place / "plugin" / "stuck-1.0.dist-info"
    facts.mkdir()
    (place / "plugin" / "stuck_model.py").write_text(SOURCE, encoding="utf-8")
    (facts / "METADATA").write_text("Metadata-Version: 2.1\nName: stuck\nVersion: 1.0\n", encoding="utf-8")
    (facts / "entry_points.txt").write_text("[distbench.inits]\nstuck = stuck_model:FreshStuck\n", encoding="utf-8")
    return {"PYTHONPATH": str(place / "plugin"), "DISTBENCH_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1"}


def write_suite(place: Path, *students: str, more: str = "") -> None:
    """Write a suite of students, each given as its `init` options, named s0, s1, …; one more, `fine`, is sound."""
    lines = [
        f"  - {{name: s{number}, of: t, init: {{use: stuck, {options}}}, "
        "distil: {use: hard-labels, control: none, data: {use: quick-rows}}}"
        for number, options in enumerate(students)
    ]
    lines.append("  - {name: fine, of: t, quantise: {use: quick-round}}")
    (place / "suite.yaml").write_text(SUITE.replace("STUDENTS", "\n".join(lines)) + more, encoding="utf-8")


def lives(pid: int) -> bool:
    """Say whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def environment(given: dict[str, str]) -> dict[str, str]:
    """Return this process's environment with some variables set."""
    return os.environ | given
