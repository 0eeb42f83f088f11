"""What the harness adds to one cell, in turn with a bare interpreter that imports the same modules; for bench_ray.py.

A cell is timed as a run has it: from its job being chosen until its process is gone and its result is in the journal
and in the cache. The bare interpreter ends at once after its imports, as no cell can, so nothing is flattered. On Ray
it is started by a task that reserves the same, on the same node, beside the same cluster: a Ray worker and its low
priority are in both.
"""

from __future__ import annotations

import contextlib
import functools
import io
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console

from distbench.execute.reporter import TerminalReporter
from distbench.execute.run import Runner
from distbench.executors.engine import Executor
from distbench.executors.environment import child_environment
from distbench.executors.job import Resources
from distbench.executors.local import LocalExecutor
from distbench.executors.ray_engine import RayEngine, RayOptions
from distbench.store.cache import Cache
from distbench.store.run_dir import RunDir

QUIET_BELOW = 0.15  # of one core: what the processes of a cluster use that has started
WANTED = Resources(cpus=1.0)

Cluster = Callable[[], contextlib.AbstractContextManager[str]]


def prepared(suite: Path, name: str) -> RunDir:
    """Plan a suite into a run directory; nothing of it is finished."""
    words = [sys.executable, "-m", "distbench", "plan", "suite.yaml", "--format", "json", "--out", name]
    subprocess.run(words, cwd=suite, check=True, capture_output=True)
    return RunDir(suite / name)


def one_cell(run: RunDir, cell_id: str, executor: Executor) -> float:
    """Run one cell in a process of its own; return the seconds that this takes."""
    cell, cache = run.cell(cell_id), Cache(run.path.with_suffix(".cache"))
    began = time.perf_counter()
    with TerminalReporter(Console(file=io.StringIO()), quiet=True) as reporter:
        state = Runner([cell], run, cache, executor, reporter, lambda cell: WANTED).execute()
    assert state.done == {cell_id}, state.failed
    return time.perf_counter() - began


def modules(run: RunDir) -> list[str]:
    """Return what a cell imports, in order, by doing one in a copy of the run directory."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(run.path / "plan", Path(place) / "plan")
        (Path(place) / "cells").mkdir()
        cell = next((Path(place) / "plan").glob("*.json")).stem
        words = [sys.executable, "-X", "importtime", "-m", "distbench.cell", "--run", place, "--id", cell]
        done = subprocess.run(words, capture_output=True, text=True, check=True, env=child_environment(1))
    names = re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(?P<name>\S+)$", done.stderr, re.MULTILINE)
    return [name for name in names if not name.startswith(("_", "encodings", "site", "distbench.cell.__main__"))]


def bare(names: Sequence[str]) -> None:
    """Start an interpreter that imports modules and ends at once."""
    each = "\nfor name in {!r}:\n with contextlib.suppress(Exception):\n  importlib.import_module(name)\nos._exit(0)"
    words = [sys.executable, "-c", "import contextlib, importlib, os" + each.format(list(names))]
    subprocess.run(words, check=True, stderr=subprocess.DEVNULL, env=child_environment(1))


def timed(what: Callable[[], object]) -> float:
    """Return the seconds that a call takes."""
    began = time.perf_counter()
    what()
    return time.perf_counter() - began


def in_turn(cells: Sequence[str], cell: Callable[[str], float], plain: Callable[[], float]) -> dict[str, Any]:
    """Time cells and bare interpreters in turn, each pair in the other order than the one before."""
    pairs: list[tuple[float, float]] = []
    for number, cell_id in enumerate(cells):
        if number % 2:
            beside = plain()
            pairs.append((cell(cell_id), beside))
        else:
            took = cell(cell_id)
            pairs.append((took, plain()))
    return {
        "one_cell_in_a_process": summary([cell for cell, _ in pairs]),
        "bare_interpreter": summary([beside for _, beside in pairs]),
        "overhead": summary([cell - beside for cell, beside in pairs]),
    }


def locally(suite: Path, names: Sequence[str]) -> dict[str, Any]:
    """Measure the local engine."""
    run = prepared(suite, "local")
    executor = LocalExecutor(run.path)
    cells = sorted(path.stem for path in (run.path / "plan").glob("*.json"))
    return in_turn(cells, lambda cell: one_cell(run, cell, executor), lambda: timed(lambda: bare(names)))


class Kept:
    """An executor that outlives the runs of single cells, as a run with many of them has one."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    def __getattr__(self, name: str) -> Any:
        return getattr(self._executor, name)

    def stop(self) -> None:
        """Do nothing: every job has ended."""

    def close(self) -> None:
        """Stop, at last."""
        self._executor.stop()


@contextlib.contextmanager
def engine(address: str) -> Iterator[RayEngine]:
    """Enter the Ray engine as a run does."""
    with RayEngine(RayOptions(address=address)) as entered:
        yield entered


def task(what: Callable[..., object], *arguments: object) -> float:
    """Return the seconds of a Ray task that reserves what a cell does."""
    import ray

    return timed(lambda: ray.get(ray.remote(what).options(num_cpus=1, max_retries=0).remote(*arguments)))


def nothing() -> None:
    """Be a task."""


def on_ray(suite: Path, names: Sequence[str], cluster: Cluster) -> dict[str, Any]:
    """Measure the Ray engine on one node of one CPU, once its worker is there."""
    run = prepared(suite, "ray")
    cells = sorted(path.stem for path in (run.path / "plan").glob("*.json"))
    with cluster() as address, engine(address) as entered:
        entered.check([("a cell", WANTED)])
        executor = Kept(entered.executor(run.path))
        one_cell(run, cells[0], executor)
        task(bare, names)
        found = in_turn(cells[1:], lambda cell: one_cell(run, cell, executor), lambda: task(bare, names))
        found["no_op_ray_task"] = summary([task(nothing) for _ in range(10)])
        executor.close()
    return found


def fresh(suite: Path, names: Sequence[str], cluster: Cluster, repeats: int) -> dict[str, Any]:
    """Measure the first job of a cluster, in turn with Ray alone: a task that does nothing, then the bare interpreter.

    Both clusters have come to rest; both have no worker yet. `check` is the look at every node before a run begins.
    """
    checks, jobs, empty, plain = [], [], [], []
    for number in range(repeats):
        run = prepared(suite, f"fresh-{number}")
        with cluster() as address, engine(address) as entered:
            empty.append(task(nothing))
            plain.append(task(bare, names))
        with cluster() as address, engine(address) as entered:
            checks.append(timed(functools.partial(entered.check, [("a cell", WANTED)])))
            executor = Kept(entered.executor(run.path))
            jobs.append(one_cell(run, next((run.path / "plan").glob("*.json")).stem, executor))
            executor.close()
    added = [check + job - nothing - bare for check, job, nothing, bare in zip(checks, jobs, empty, plain, strict=True)]
    return {
        "ray_alone_first_task_which_does_nothing": summary(empty),
        "ray_alone_bare_interpreter_in_the_next": summary(plain),
        "check_of_the_nodes": summary(checks),
        "first_cell": summary(jobs),
        "overhead_of_check_and_first_cell": summary(added),
    }


def settle(seconds: float = 60.0) -> None:
    """Wait until the processes that this one has started are at rest, no longer than that."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        before = _cpu_seconds()
        time.sleep(2.0)
        if (_cpu_seconds() - before) / 2.0 < QUIET_BELOW:
            return


def _cpu_seconds() -> float:
    total = 0.0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += sum(child.cpu_times()[:2])
    return total


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Return seconds with their median."""
    return {"median": round(statistics.median(values), 3), "n": len(values), "all": [round(each, 3) for each in values]}
