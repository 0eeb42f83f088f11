"""Execute a plan: reuse what is finished, batch cells of one model into one process, keep everything that succeeds."""

from __future__ import annotations

import signal
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from distbench.errors import ExitCode
from distbench.execute.reporter import Event, Reporter, Watch
from distbench.executors.job import Ended, Job
from distbench.executors.local import LocalExecutor
from distbench.plan.capabilities import variables_of
from distbench.schema.cell import EvaluateCell, MakeCell, MeasureCell, models_of
from distbench.store.cache import Cache
from distbench.store.run_dir import RunDir

Cell = MakeCell | EvaluateCell | MeasureCell
CACHED_KINDS = {"make", "evaluate"}  # measurements belong to their moment and are never reused


def _keeps(cell: Cell) -> bool:
    """Say whether another run may reuse a cell. Behind the URL of a served model there may be another one tomorrow."""
    return cell.kind in CACHED_KINDS and not any(ref.address for ref in models_of(cell))


@dataclass
class Execution:
    """What became of every cell."""

    done: set[str] = field(default_factory=set)
    cached: set[str] = field(default_factory=set)
    failed: dict[str, str] = field(default_factory=dict)
    codes: dict[str, int] = field(default_factory=dict)  # of the cells that failed by themselves

    @property
    def exit_code(self) -> ExitCode:
        """What the run exits with: 5 where the machine alone is to blame, such as a full disk; else 4 for a failure."""
        if not self.failed:
            return ExitCode.OK
        machine = bool(self.codes) and set(self.codes.values()) == {ExitCode.ENVIRONMENT}
        return ExitCode.ENVIRONMENT if machine else ExitCode.RUN_FAILED


def reusable(cells: Iterable[Cell], run: RunDir | None, cache: Cache) -> tuple[set[str], set[str]]:
    """Return (ids finished in this run, ids that the cache can give)."""
    done, cached = set(), set()
    for cell in cells:
        if run is not None and run.is_done(cell.id):
            done.add(cell.id)
        elif _keeps(cell) and cache.find("cells", cell.id):
            cached.add(cell.id)
    return done, cached


class Runner:
    """Walks the plan once. Only one process works at a time, so that measurements are not disturbed."""

    def __init__(
        self, cells: list[Cell], run: RunDir, cache: Cache, executor: LocalExecutor, reporter: Reporter
    ) -> None:
        self.cells = {cell.id: cell for cell in cells}
        self.run, self.cache, self.executor, self.reporter = run, cache, executor, reporter
        self.state = Execution()

    def execute(self) -> Execution:
        """Run every cell that is not finished; failures are kept and the rest goes on."""
        return self._run(list(self.cells.values()))

    def add(self, cells: Sequence[EvaluateCell]) -> Execution:
        """Run cells that the plan could not know: the next part of a task that is still undecided."""
        new = [cell for cell in cells if cell.id not in self.cells]
        self.run.extend_plan(new)
        self.cells |= {cell.id: cell for cell in new}
        return self._run(new)

    def _run(self, cells: Sequence[Cell]) -> Execution:
        done, cached = reusable(cells, self.run, self.cache)
        for cell_id in cached:
            self.run.adopt(cell_id, self.cache.path("cells", cell_id))
        self.state.done |= done | cached
        self.state.cached |= cached
        self.run.log("run", done=sorted(done), cached=sorted(cached))
        self.reporter.start(len(cells), len(done | cached))
        for ids in self._jobs(cells):
            self._work(ids)
        return self.state

    def _jobs(self, cells: Sequence[Cell]) -> list[list[str]]:
        """Return cells in plan order; cells that may share a process are one job.

        Making a model and its evaluations do, since it is loaded; so do evaluations of several models one after the
        other, since they ask the same requests.
        """
        jobs: list[list[str]] = []
        last: Cell | None = None
        for cell in cells:
            if cell.id in self.state.done:
                continue
            if last is not None and _share(last, cell):
                jobs[-1].append(cell.id)
            else:
                jobs.append([cell.id])
            last = cell
        return jobs

    def _ready(self, ids: list[str]) -> list[str]:
        """Return the cells whose needs are finished; the others fail with the reason."""
        ready: list[str] = []
        for cell_id in ids:
            missing = [need for need in self.cells[cell_id].needs if need not in self.state.done and need not in ready]
            if missing:
                self._failed(cell_id, f"needs '{self.cells[missing[0]].title}', which failed", 0.0, code=None)
            else:
                ready.append(cell_id)
        return ready

    def _work(self, ids: Sequence[str]) -> None:
        """Run a job. Where its process dies, the cell at work has failed and the others get a new process."""
        while ready := self._ready([i for i in ids if i not in self.state.done and i not in self.state.failed]):
            threads = self.cells[ready[0]].settings.threads
            assert threads is not None, "only imported cells lack it, and they are never run"
            refs = [ref for cell_id in ready for ref in models_of(self.cells[cell_id])]
            variables = [variables_of(ref.use, ref.options) for ref in refs]
            self._once(Job(ready, threads, frozenset().union(*variables), processes_of(self.cells[ready[0]])))

    def _once(self, job: Job) -> None:
        watch, present = Watch(), job.ids[0]

        def on_event(event: Event) -> None:
            nonlocal present
            kind = event["event"]
            if kind == "started":
                present = event["cell"]
                self.reporter.cell(self.cells[present].title)
            elif kind == "progress":
                self.reporter.progress(event["done"], event["total"], event["what"])
            elif kind == "committed":
                self._committed(event["cell"], watch.lap())
            elif kind == "failed":
                self._failed(event["cell"], event["message"], watch.lap(), code=event["exit_code"])

        ended = self.executor.execute(job, on_event)
        open_ids = [i for i in job.ids if i not in self.state.done and i not in self.state.failed]
        if open_ids:  # where it died between two cells, the next one could not even begin
            lost = present if present in open_ids else open_ids[0]
            self._failed(lost, how_it_died(ended), watch.lap(), code=ExitCode.RUN_FAILED, tail=ended.tail)

    def _committed(self, cell_id: str, seconds: float) -> None:
        cell = self.cells[cell_id]
        if _keeps(cell):
            self.cache.put("cells", cell_id, self.run.cells / cell_id)
        self.state.done.add(cell_id)
        self.run.log("done", cell=cell_id, title=cell.title, seconds=round(seconds, 3))
        self.reporter.end(cell.title, "done", seconds)

    def _failed(self, cell_id: str, message: str, seconds: float, *, code: int | None, **details: object) -> None:
        """Keep a failure; `code` is its error's exit code, None where another cell's failure is the cause."""
        if cell_id in self.state.failed:  # another of its processes said why
            return
        self.state.failed[cell_id] = message
        if code is not None:
            self.state.codes[cell_id] = code
            details["exit_code"] = int(code)
        self.run.fail(cell_id, {"message": message, "title": self.cells[cell_id].title, **details})
        self.run.log("failed", cell=cell_id, message=message)
        self.reporter.end(self.cells[cell_id].title, "FAILED", seconds, message)


def _share(last: Cell, cell: Cell) -> bool:
    """Say whether a cell may run in the process of the one before it."""
    if not isinstance(cell, EvaluateCell) or last.kind == "measure" or processes_of(last) > 1:
        return False
    # A made model is evaluated in the process that made it.
    return isinstance(last, EvaluateCell) or cell.model.cell == last.id


def processes_of(cell: Cell) -> int:
    """Return how many processes make a cell."""
    launch = cell.train.launch if isinstance(cell, MakeCell) and cell.train else None
    return launch.processes if launch else 1


def how_it_died(ended: Ended) -> str:
    """Say in words how a worker ended that committed nothing and reported nothing."""
    if ended.code == -signal.SIGKILL:
        return "killed by signal 9, likely out of memory"
    if ended.code < 0:
        return f"killed by signal {-ended.code} ({signal.Signals(-ended.code).name})"
    last = ended.tail.strip().splitlines()[-1] if ended.tail.strip() else "no output"
    return f"the worker ended with exit code {ended.code}: {last[:200]}"
