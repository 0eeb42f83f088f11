"""Execute a plan: reuse what is finished, batch cells of one model into one process, keep everything that succeeds."""

from __future__ import annotations

import signal
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from distbench.errors import EnvironmentFault, ExitCode
from distbench.execute.budget import Budget, OutOfTimeError, TimedQueue
from distbench.execute.queue import Cell, Queue, grouped
from distbench.execute.reporter import Reporter, Watch
from distbench.executors.engine import Executor
from distbench.executors.job import Ended, Event, Job, Resources, enough
from distbench.executors.watch import limit_of
from distbench.plan.capabilities import variables_of
from distbench.schema.cell import EvaluateCell, MakeCell, models_of
from distbench.schema.limits import Limits
from distbench.schema.record import MakeResult
from distbench.store.cache import Cache
from distbench.store.leftovers import remove_unfinished
from distbench.store.remote import credentials
from distbench.store.run_dir import RunDir
from distbench.training.processes import processes_of

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
        """What the run exits with: 4 for a failure, unless one thing alone is to blame for all of them.

        5: the machine, such as a full disk. 6: what was refused, such as weights that turned out to be damaged.
        """
        if not self.failed:
            return ExitCode.OK
        kinds = set(self.codes.values())
        alone = kinds in ({ExitCode.ENVIRONMENT}, {ExitCode.REFUSED})
        return ExitCode(kinds.pop()) if alone else ExitCode.RUN_FAILED


def reusable(cells: Iterable[Cell], run: RunDir | None, cache: Cache) -> tuple[set[str], set[str]]:
    """Return (ids finished in this run, ids that the cache can give)."""
    done, cached = set(), set()
    for cell in cells:
        if run is not None and run.is_done(cell.id):
            done.add(cell.id)
        elif _keeps(cell) and cache.has("cells", cell.id):
            cached.add(cell.id)
    return done, cached


@dataclass
class AtWork:
    """A job that has begun, as far as its events say."""

    job: Job
    present: str  # the cell it is at
    begun: bool = False  # it has said so: until then it may wait for a place
    watch: Watch = field(default_factory=Watch)


class Runner:
    """Walks the plan once: a cell begins when what it needs is done, as many at once as the executor has slots."""

    def __init__(
        self,
        cells: list[Cell],
        run: RunDir,
        cache: Cache,
        executor: Executor,
        reporter: Reporter,
        resources: Callable[[Cell], Resources] = lambda cell: Resources(),
        limits: Limits | None = None,
    ) -> None:
        self.cells = {cell.id: cell for cell in cells}
        self.run, self.cache, self.executor, self.reporter = run, cache, executor, reporter
        self.resources, self.limits = resources, limits
        self.budget: Budget | None = None  # the time that there is; None: as long as it takes
        self.state = Execution()
        self._at_work: dict[str, AtWork] = {}  # by the first cell of the job
        self._losses: Counter[str] = Counter()
        self._unshared = False

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
        done, found = reusable(cells, self.run, self.cache)
        cached = {cell_id for cell_id in found if self._adopted(cell_id)}
        self.state.done |= done | cached
        self.state.cached |= cached
        self.run.log("run", done=sorted(done), cached=sorted(cached))
        self.reporter.start(len(cells), len(done | cached))
        queue = self._queue([cell for cell in cells if cell.id not in self.state.done])
        try:
            while self._begin(queue):
                try:
                    job, ended = self.executor.wait(self._heard)
                    queue.put_back(self._ended(job, ended))
                except OutOfTimeError as over:
                    jobs = [at.job for first, at in self._at_work.items() if over.first in (None, first)]
                    self.executor.cancel(jobs)
                    for job in jobs:
                        queue.put_back(self._cut_short(job))
        finally:
            self.executor.stop()
            remove_unfinished(self.run.cells, self.cells)
        assert not len(queue), "a cell needs one that is not in the plan"
        return self.state

    def _queue(self, cells: Sequence[Cell]) -> Queue:
        if self.budget is None:
            return Queue(grouped(cells, self.executor.slots))
        self.budget.settled(self.state.done)
        self.budget.side_by_side(self.executor.slots, cells)
        return TimedQueue(grouped(cells, self.executor.slots), self.budget)

    def _cut_short(self, job: Job) -> list[Cell]:
        """Return what is left of a job that was ended; of its cells only the one at work has lost anything."""
        at = self._at_work.pop(job.ids[0])
        for cell_id in job.ids:
            if cell_id not in self.state.done and self.run.is_done(cell_id):  # committed, but not said any more
                self._committed(cell_id, at.watch.lap())
        open_cells = [self.cells[i] for i in job.ids if i not in self.state.done and i not in self.state.failed]
        if at.begun and self.budget is not None and self.budget.over() and open_cells:
            self.budget.leave(open_cells.pop(0), "it was ended: the time and its grace were over")
        return open_cells

    def _check_time(self, at: AtWork, *, begins: bool) -> None:
        """Raise OutOfTimeError for a cell that begins without time, for all at work when time and grace are over."""
        if self.budget is None:
            return
        if self.budget.over():
            raise OutOfTimeError(None)
        if begins and not self.budget.allows(self.cells[at.present]):
            raise OutOfTimeError(at.job.ids[0])

    def _begin(self, queue: Queue) -> bool:
        """Submit every job that may begin; say whether any is at work.

        Where time is short, no more than there is room for: whether a job has the time is asked when it can begin.
        """
        most = self.executor.slots if self.executor.slots == 1 or self.budget is not None else len(self.cells)
        while len(self._at_work) < most:
            settled = self.state.done | self.state.failed.keys()
            cells = queue.next(settled)
            if cells is None:
                break
            if ready := self._ready(cells):
                self._submit(ready)
        return bool(self._at_work)

    def _ready(self, cells: Sequence[Cell]) -> list[Cell]:
        """Return the cells whose needs are finished, or come before them; the others fail with the reason."""
        ready: dict[str, Cell] = {}
        for cell in cells:
            missing = [need for need in cell.needs if need not in self.state.done and need not in ready]
            if missing:
                self._failed(cell.id, f"needs '{self.cells[missing[0]].title}', which failed", 0.0, code=None)
            else:
                ready[cell.id] = cell
        return list(ready.values())

    def _submit(self, cells: Sequence[Cell]) -> None:
        first = cells[0]
        assert first.settings.threads is not None, "only imported cells lack it, and they are never run"
        variables = [variables_of(ref.use, ref.options) for cell in cells for ref in models_of(cell)]
        job = Job(
            ids=[cell.id for cell in cells],
            threads=first.settings.threads,
            variables=credentials().union(*variables),
            processes=processes_of(first),
            resources=enough([self.resources(cell) for cell in cells]),
            limits={cell.id: limit_of(self.limits, cell.kind) for cell in cells},
        )
        self._at_work[first.id] = AtWork(job, first.id)
        self.executor.submit(job)

    def _heard(self, job: Job, event: Event) -> None:
        """Take note of what a worker says."""
        at, kind = self._at_work[job.ids[0]], event["event"]
        if kind == "placed":  # it waited until now, maybe for hours
            at.watch.lap()
            self.run.log("placed", cells=job.ids, **{key: event[key] for key in event if key != "event"})
        elif kind == "left":
            self.run.log("left", cells=job.ids, node=event["node"], clock=event["clock"])
        elif kind == "started":
            at.present, at.begun = event["cell"], True
            self._check_time(at, begins=True)
            self.reporter.cell(self.cells[at.present].title)
        elif kind == "progress":
            self._check_time(at, begins=False)
            self.reporter.progress(self.cells[at.present].title, event["done"], event["total"], event["what"])
        elif kind == "clock":
            self._check_time(at, begins=False)
        elif kind == "silent":
            self._silent(at.present, event["seconds"])
        elif kind == "halved":
            self.run.log("halved", cell=event["cell"], message=event["message"])
            self.reporter.note(f"{self.cells[event['cell']].title}: {event['message']}")
        elif kind == "committed":
            self._committed(event["cell"], at.watch.lap())
        elif kind == "failed":
            itself = not any(need in self.state.failed for need in self.cells[event["cell"]].needs)
            code = event["exit_code"] if itself else None
            self._failed(event["cell"], event["message"], at.watch.lap(), code=code)

    def _ended(self, job: Job, ended: Ended) -> list[Cell]:
        """Settle a job whose process ended. Where it died, the cell at work has failed, or has been lost with its
        machine; the others are returned: they get a new process."""
        at = self._at_work.pop(job.ids[0])
        open_ids = [i for i in job.ids if i not in self.state.done and i not in self.state.failed]
        if not open_ids:
            return []
        present = at.present if at.present in open_ids else open_ids[0]  # it may have died between two cells
        if ended.lost is None:
            self._failed(present, how_it_died(ended), at.watch.lap(), code=ExitCode.RUN_FAILED, tail=ended.tail)
        else:
            self._lost(present, ended.lost, at.watch.lap(), ended.tail)
        return [self.cells[i] for i in open_ids if i not in self.state.failed]

    def _lost(self, cell_id: str, why: str, seconds: float, tail: str) -> None:
        """Let a cell be tried again whose machine or worker went away; it fails where that happened too often."""
        self._losses[cell_id] += 1
        lost, again = self._losses[cell_id], self._losses[cell_id] <= self.executor.retries
        if not again:
            times = f"lost {lost} time{'s' if lost > 1 else ''}, the last time: " if lost > 1 else "lost: "
            self._failed(cell_id, times + why, seconds, code=ExitCode.RUN_FAILED, tail=tail)
            return
        self.run.log("lost", cell=cell_id, message=why, times=lost)
        self.reporter.again(self.cells[cell_id].title, seconds, f"{why}; it is tried again")

    def _committed(self, cell_id: str, seconds: float) -> None:
        cell = self.cells[cell_id]
        if _keeps(cell):
            self._share(cell_id)
        self.state.done.add(cell_id)
        if self.budget is not None:
            self.budget.settle(cell_id, seconds)
        self.run.log("done", cell=cell_id, title=cell.title, seconds=round(seconds, 3))
        self.reporter.end(cell.title, "done", seconds, went_on(self.run, cell))

    def _adopted(self, cell_id: str) -> bool:
        """Take a cell from the cache; False where somebody cleared the cache meanwhile."""
        sealed = self.cache.find("cells", cell_id)
        return sealed is not None and self.run.adopt(cell_id, sealed)

    def _share(self, cell_id: str) -> None:
        """Put a finished cell into the cache. Where that cannot be, it is said once: the cell itself is safe."""
        try:
            self.cache.put("cells", cell_id, self.run.cells / cell_id)
        except EnvironmentFault as error:
            if not self._unshared:
                self.reporter.note(f"nothing new is shared with other runs: {error}")
                self.run.log("not shared", message=str(error))
            self._unshared = True

    def _silent(self, cell_id: str, seconds: float) -> None:
        """Say that a cell may hang. Nothing ends it without a limit."""
        message = f"no sign of progress for {seconds / 60:.0f} minutes; it may hang (limits.silence would end it)"
        self.run.log("silent", cell=cell_id, seconds=round(seconds))
        self.reporter.note(f"{self.cells[cell_id].title}: {message}")

    def _failed(self, cell_id: str, message: str, seconds: float, *, code: int | None, **details: object) -> None:
        """Keep a failure; `code` is its error's exit code, None where another cell's failure is the cause."""
        if cell_id in self.state.failed:  # another of its processes said why
            return
        self.state.failed[cell_id] = message
        if self.budget is not None:
            self.budget.settled([cell_id])
        if code is not None:
            self.state.codes[cell_id] = code
            details["exit_code"] = int(code)
        self.run.fail(cell_id, {"message": message, "title": self.cells[cell_id].title, **details})
        self.run.log("failed", cell=cell_id, message=message)
        self.reporter.end(self.cells[cell_id].title, "FAILED", seconds, message)


def went_on(run: RunDir, cell: Cell) -> str:
    """Say from where a training went on that had been killed, and what that cost; nothing for any other cell."""
    if not isinstance(cell, MakeCell) or cell.train is None:
        return ""
    result = run.record(cell.id).result
    training = result.training if isinstance(result, MakeResult) else None
    if training is None or (training.resumed_from is None and not training.redone_steps):
        return ""
    lost = "" if training.redone_steps is None else f", {training.redone_steps} steps were done again"
    return f"a killed training went on from step {training.resumed_from or 0}{lost}"


def how_it_died(ended: Ended) -> str:
    """Say in words how a worker ended that committed nothing and reported nothing."""
    if ended.why is not None:
        return ended.why
    if ended.code == -signal.SIGKILL:
        return "killed by signal 9, likely out of memory"
    if ended.code < 0:
        return f"killed by signal {-ended.code} ({signal.Signals(-ended.code).name})"
    last = ended.tail.strip().splitlines()[-1] if ended.tail.strip() else "no output"
    return f"the worker ended with exit code {ended.code}: {last[:200]}"
