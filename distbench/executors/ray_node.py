"""What a Ray task does on its node: run one job as the local engine runs it, and tell the driver.

The task's process holds no model: the cells are a process group of their own, whose memory ends with it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench.executors.apart import Input, Supplies, Workshop, visible
from distbench.executors.job import Event, Job
from distbench.executors.local import LocalExecutor
from distbench.host import cpu_has_bfloat16, package_versions


@dataclass(frozen=True)
class Order:
    """A job, and what a node must know to do it as the driver's machine would."""

    number: int  # of this start, among all starts of the run
    job: Job
    run: Path  # absolute, on the driver's machine
    device: str
    probe: str  # a file in the run directory: where it is seen, the directory is shared
    surroundings: Mapping[str, Any]
    environment: Mapping[str, str]  # variables that the cells need as the driver has them
    inputs: tuple[Input, ...] = ()  # what the cells read beside the run directory
    supplies: Supplies | None = None  # for a node that does not see all of that
    placed: str = ""  # for the record


def surroundings() -> dict[str, Any]:
    """Return what must be the same everywhere: a cell's id says that its numbers come from these versions."""
    return {
        "packages": package_versions(),
        "bfloat16": cpu_has_bfloat16(),
        "python": platform.python_version_tuple()[:2],
    }


def difference(here: Mapping[str, Any], there: Mapping[str, Any], device: str) -> str | None:
    """Say in what a node differs from the driver's machine; None: in nothing that could change a number."""
    ours, theirs = here["packages"], there["packages"]
    for name in sorted({*ours, *theirs}):
        if ours.get(name) != theirs.get(name):
            return f"{name} is {theirs.get(name, 'not installed')} there and {ours.get(name, 'not installed')} here"
    if here["python"] != there["python"]:
        return f"Python is {'.'.join(there['python'])} there and {'.'.join(here['python'])} here"
    if device == "cpu" and here["bfloat16"] != there["bfloat16"]:
        return "only one of both CPUs multiplies bfloat16 in hardware, which trainings round by"
    return None


class Line:
    """Waits for Ray in a thread of its own: a task that waits in its main thread gives its CPUs back meanwhile, and Ray
    would put another task, or a measurement, beside the cell that is at work."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)

    def get(self, reference: Any) -> Any:
        """Return what a reference stands for."""
        import ray

        return self._thread.submit(ray.get, reference).result()


def work(order: Order, mailbox: Any) -> None:
    """Do a job; the last letter says how it ended. Cancelled (KeyboardInterrupt), it ends its processes first."""
    import ray

    line = Line()

    def post(event: Event) -> None:
        line.get(mailbox.post.remote(order.number, event))

    shared = (order.run / order.probe).is_file() and visible(order.inputs)
    place: Event = {"node": ray.get_runtime_context().get_node_id(), "host": platform.node(), "shared": shared}
    post({"event": "placed", **place, "clock": time.time()})
    if why := difference(order.surroundings, surroundings(), order.device):
        post({"event": "gone", "why": f"node {platform.node()} would compute something else: {why}"})
    elif not shared and order.supplies is None:
        post({"event": "apart"})
    else:
        with contextlib.ExitStack() as stack:
            stack.enter_context(_environment(order))
            shop = None if shared else stack.enter_context(Workshop(order.job.ids, order.supplies, line.get))
            ended = LocalExecutor(shop.run if shop else order.run).execute(
                order.job, shop.sender(post) if shop else post
            )
            log = shop.log() if shop else None
        post({"event": "ended", "ended": ended, "log": log, "clock": time.time()})


@contextlib.contextmanager
def _environment(order: Order) -> Iterator[None]:
    """Have the driver's variables while a job works: the next one in this process may be another's."""
    given = dict(order.environment) | ({"DISTBENCH_PLACED": order.placed} if order.placed else {})
    before = {name: os.environ.get(name) for name in given}
    os.environ.update(given)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def look() -> dict[str, Any]:
    """Say what this node is: the first task on every node, before anything is planned for it."""
    return surroundings() | {"host": platform.node()}
