"""Have the jobs of one run worked by a Ray cluster: a task each, submitted as soon as it may begin.

Ray decides when and where a task runs; trying again is ours (`max_retries=0`), since only we know which cells of a job
are committed already.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from distbench.errors import EnvironmentFault, ExitCode
from distbench.executors.apart import Input, Supplies, inputs_of
from distbench.executors.arrivals import Arrivals
from distbench.executors.job import Ended, Event, Job, Resources
from distbench.executors.parcels import Parcel, wrap
from distbench.executors.ray_mailbox import Letter, open_mailbox
from distbench.executors.ray_node import Order, surroundings, work
from distbench.executors.ray_places import Node, demand, holders, missing, nodes_of, quiet_node
from distbench.store.run_dir import RunDir

PATIENCE = 10.0  # seconds for tasks to end their processes, before Ray ends theirs
LOOK_EVERY = 2.0  # seconds without a word, after which the cluster is looked at
GONE_AFTER = 20.0  # seconds that a waiting job is given after the last node that could hold it went away
SEEN = ".seen-"
FORWARDED = ("DISTBENCH_CACHE", "HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT")


@dataclass
class Start:
    """A job that was submitted: where it is, once it has a place."""

    job: Job
    task: Any
    node: str | None = None
    host: str | None = None
    since: float = field(default_factory=time.monotonic)  # the last moment at which it could have a place


class RayExecutor:
    """One run's jobs on a cluster that is connected."""

    def __init__(self, run: Path, slots: int, retries: int, mailbox: Any = None) -> None:
        """`mailbox`: one that is open already; it is closed with the first `stop`."""
        self.run, self.slots, self.retries = RunDir(run.absolute()), slots, retries
        self._environment = {name: os.environ[name] for name in FORWARDED if name in os.environ}
        self._surroundings = surroundings()
        self._starts: dict[int, Start] = {}
        self._watched: dict[Any, int] = {}  # tasks that did not end, as far as is known
        self._letters: deque[Letter] = deque()
        self._number = 0
        self._mailbox = mailbox
        self._take: Any = None
        self._quiet: str | None = None  # the node that measures
        self._lost_on: dict[str, set[str]] = {}  # nodes on which a cell was lost
        self._apart: set[str] = set()  # nodes that do not see the run directory
        self._parcels: dict[str, Parcel] = {}
        self._arrivals = Arrivals(self.run)
        self._probe = f"{SEEN}{secrets.token_hex(8)}"

    # -- the protocol -----------------------------------------------------------------------------------------------

    def submit(self, job: Job) -> None:
        """Give a job to Ray. It waits there until a node has room for it."""
        if self._mailbox is None:
            self._mailbox = open_mailbox()
        if not (self.run.path / self._probe).exists():
            self._mark()
        self._start(job)

    def _mark(self) -> None:
        """Put a file into the run directory: a node that sees it sees the directory."""
        self._unmark()
        (self.run.path / self._probe).touch()

    def _unmark(self) -> None:
        """Remove it, and those of drivers that were killed: this one holds the run's lock."""
        for seen in self.run.path.glob(f"{SEEN}*"):
            seen.unlink(missing_ok=True)

    def wait(self, on_event: Callable[[Job, Event], None]) -> tuple[Job, Ended]:
        """Return the next job that ended."""
        while True:
            while self._letters:
                number, event = self._letters.popleft()
                start = self._starts.get(number)  # None: it was given up before it said this
                if start is not None and (ended := self._read(number, start, event, on_event)):
                    return start.job, ended
            if not self._listen() and self._starts:
                on_event(next(iter(self._starts.values())).job, {"event": "clock"})

    def cancel(self, jobs: Sequence[Job]) -> None:
        """End jobs. Finished cells that have arrived here and were not looked at yet are kept."""
        chosen = {number: start for number, start in self._starts.items() if start.job in jobs}
        for number, event in list(self._letters):
            if number in chosen and event["event"] in {"piece", "committed"}:
                self._read(number, chosen[number], event, lambda job, event: None)
        for number, start in chosen.items():
            del self._starts[number]
            self._watched.pop(start.task, None)
        _end([start.task for start in chosen.values()])
        for job in jobs:
            for cell_id in job.ids:
                self._arrivals.forget(cell_id)

    def stop(self) -> None:
        """Cancel every task."""
        import ray

        tasks = [start.task for start in self._starts.values()]
        self._starts.clear()
        self._watched.clear()
        self._letters.clear()
        try:
            _end(tasks)
            if self._mailbox is not None:
                ray.kill(self._mailbox)
        finally:
            self._mailbox = self._take = None
            self._unmark()

    # -- starting ---------------------------------------------------------------------------------------------------

    def _start(self, job: Job) -> None:
        import ray

        self._number += 1
        options, placed = self._place(job)
        task = ray.remote(work).options(**options).remote(self._order(job, placed), self._mailbox)
        self._starts[self._number] = Start(job, task)
        self._watched[task] = self._number

    def _order(self, job: Job, placed: str) -> Order:
        cells = [self.run.cell(cell_id) for cell_id in job.ids]
        paths = list(dict.fromkeys(path for cell in cells for path in inputs_of(cell)))
        given = {name: os.environ[name] for name in job.variables if name in os.environ}
        return Order(
            number=self._number,
            job=job,
            run=self.run.path,
            device=cells[0].settings.device,
            probe=self._probe,
            surroundings=self._surroundings,
            environment=self._environment | given,
            inputs=tuple(Input.of(path) for path in paths),
            supplies=self._supplies(job, paths) if self._apart else None,
            placed=placed,
        )

    def _supplies(self, job: Job, paths: Sequence[Path]) -> Supplies:
        """Return what a node needs that sees none of our files. Ray keeps the pieces, and spills them to disks."""
        import ray

        def parcel(path: Path) -> Parcel:
            if str(path) not in self._parcels:
                self._parcels[str(path)] = wrap(path, ray.put)
            return self._parcels[str(path)]

        cells = [self.run.cell(cell_id) for cell_id in job.ids]
        needs = sorted({need for cell in cells for need in cell.needs} - set(job.ids))
        return Supplies(
            cells=tuple(cell.model_dump_json() for cell in cells),
            needs={need: parcel(self.run.cells / need) for need in needs},
            files={str(path): parcel(path) for path in paths},
        )

    def _place(self, job: Job) -> tuple[dict[str, Any], str]:
        """Return Ray's options of a task, and what the record says about its place."""
        wanted, nodes = job.resources, self._nodes()
        avoid = {node for cell_id in job.ids for node in self._lost_on.get(cell_id, ())}
        options: dict[str, Any] = {"max_retries": 0, "name": f"distbench {job.ids[0]}"}
        if wanted.alone and (node := quiet_node(wanted, nodes, self._quiet, avoid)):
            self._quiet = node.id
            placed = f"a whole node of a Ray cluster, {node.cpus:g} CPUs, with nothing of Ray beside it"
            return options | _whole(node, wanted), placed
        amounts = demand(wanted)
        options |= {"num_cpus": amounts.pop("CPU", 0), "num_gpus": amounts.pop("GPU", 0)}
        options |= {"memory": amounts.pop("memory", None), "resources": amounts}
        if avoid and (other := next((node for node in holders(wanted, nodes) if node.id not in avoid), None)):
            options["scheduling_strategy"] = _near(other)
        return options, "a node of a Ray cluster"

    @staticmethod
    def _nodes() -> list[Node]:
        import ray

        return nodes_of(ray.nodes())

    # -- listening --------------------------------------------------------------------------------------------------

    def _listen(self) -> bool:
        """Wait for letters, and say whether anything came. A task that ended without its last letter is reported in its
        stead, after all it said."""
        import ray
        from ray.exceptions import RayError

        if self._take is None:
            self._take = self._mailbox.take.remote()
        ready, _ = ray.wait([self._take, *self._watched], num_returns=1, timeout=LOOK_EVERY)
        for done in ready:
            if done == self._take:
                self._take = None
                self._letters.extend(self._taken(done))
                continue
            number = self._watched.pop(done)
            try:
                ray.get(done)
            except RayError as error:
                self._mailbox.post.remote(number, death(error))
        if not ready:
            self._give_up_hopeless()
        return bool(ready)

    @staticmethod
    def _taken(letters: Any) -> list[Letter]:
        import ray
        from ray.exceptions import RayError

        try:
            taken: list[Letter] = ray.get(letters)
        except RayError as error:  # the mailbox died, and it dies with the driver's node only
            raise EnvironmentFault(f"the Ray cluster went away: {' '.join(str(error).split())[:200]}") from error
        return taken

    def _give_up_hopeless(self) -> None:
        """Give up jobs that wait for a node, where none that could hold them has been there for a while."""
        import ray

        nodes, now = self._nodes(), time.monotonic()
        for number, start in self._starts.items():
            if start.node is not None or holders(start.job.resources, nodes):
                start.since = now
            elif now - start.since > GONE_AFTER:
                with contextlib.suppress(Exception):
                    ray.cancel(start.task, force=True)
                self._mailbox.post.remote(number, {"event": "broken", "why": missing(start.job.resources, nodes)})

    def _read(self, number: int, start: Start, event: Event, on_event: Callable[[Job, Event], None]) -> Ended | None:
        """Take note of a letter; return how its job ended, if that is what it says."""
        kind, job = event["event"], start.job
        if kind == "piece":
            self._arrivals.piece(event["cell"], event["bytes"])
        elif kind == "committed" and (why := self._arrivals.fault(event["cell"])):
            message = {"event": "failed", "cell": event["cell"], "message": why}
            on_event(job, message | {"exit_code": int(ExitCode.REFUSED)})
        elif kind == "apart":
            assert start.node is not None
            self._apart.add(start.node)
            del self._starts[number]
            self._start(job)
        elif kind in {"ended", "gone", "broken"}:
            del self._starts[number]
            return self._ended(start, event, on_event)
        else:
            if kind == "placed":
                start.node, start.host = event["node"], event["host"]
            on_event(job, event)
        return None

    def _ended(self, start: Start, event: Event, on_event: Callable[[Job, Event], None]) -> Ended:
        job = start.job
        if event["event"] == "broken":
            return Ended(1, "", why=event["why"])
        if event["event"] == "ended":
            on_event(job, {"event": "left", "node": start.node, "clock": event["clock"]})
            if event["log"] is not None:
                self._arrivals.log(job.ids[0], event["log"])
            ended: Ended = event["ended"]
            return ended
        for cell_id in job.ids:
            self._arrivals.forget(cell_id)
            if start.node is not None:
                self._lost_on.setdefault(cell_id, set()).add(start.node)
        where = f" on {start.host}" if start.host else ""
        return Ended(1, "", lost=event["why"] + where)


def _end(tasks: list[Any]) -> None:
    """Cancel tasks. Each ends the processes of its cells; those that do not are ended by Ray."""
    import ray

    for force in (False, True):
        for task in tasks:
            with contextlib.suppress(Exception):  # it ended meanwhile, or its node did
                ray.cancel(task, force=force)
        if tasks:
            _, tasks = ray.wait(tasks, num_returns=len(tasks), timeout=PATIENCE)


def _near(node: Node) -> Any:
    """Return Ray's word for this node, or any other if this one is gone or going."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node.id, soft=True)


def _whole(node: Node, wanted: Resources) -> dict[str, Any]:
    """Return Ray's options of a task that takes a whole node."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return {
        "num_cpus": node.cpus,
        "num_gpus": node.has.get("GPU", 0),
        "resources": dict(wanted.custom),
        "scheduling_strategy": NodeAffinitySchedulingStrategy(node.id, soft=False),
    }


def death(error: Exception) -> Event:
    """Say how a task ended that could not say it itself: with its machine or its process, or by a fault in it."""
    from ray.exceptions import NodeDiedError, OutOfMemoryError, RayTaskError, TaskUnschedulableError, WorkerCrashedError

    if isinstance(error, OutOfMemoryError):
        return {
            "event": "gone",
            "why": "ended by Ray, since the node ran out of memory (reserve it: resources, memory)",
        }
    if isinstance(error, NodeDiedError | TaskUnschedulableError):
        return {"event": "gone", "why": "the node went away"}
    if isinstance(error, WorkerCrashedError):
        return {"event": "gone", "why": "the worker was killed, or its node went away"}
    cause = error.cause if isinstance(error, RayTaskError) else error
    text = " ".join(str(cause).split())[:300]
    return {"event": "broken", "why": f"the node could not begin it: {type(cause).__name__}: {text}"}
