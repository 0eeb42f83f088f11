"""What a Ray task does on its node: run one job as the local engine runs it, and tell the driver.

The task's process holds no model: the cells are a process group of their own, whose memory ends with it.
"""

from __future__ import annotations

import contextlib
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distbench.executors.apart import Input, Supplies, Workshop, visible
from distbench.executors.job import Event, Job
from distbench.executors.local import LocalExecutor
from distbench.executors.manners import heard_while_waiting
from distbench.executors.outbox import Outbox
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


def fetch(reference: Any) -> Any:
    """Return what a reference stands for, waiting in another thread as an outbox does, and for the same reason."""
    import ray

    with ThreadPoolExecutor(1) as line:
        return line.submit(ray.get, reference).result()


def work(order: Order, mailbox: Any) -> None:
    """Do a job; the last letter says how it ended. Cancelled (KeyboardInterrupt), it ends its processes first."""
    import ray

    with heard_while_waiting(), Outbox(lambda event: ray.get(mailbox.post.remote(order.number, event))) as outbox:
        shared = (order.run / order.probe).is_file() and visible(order.inputs)
        place: Event = {"node": ray.get_runtime_context().get_node_id(), "host": platform.node(), "shared": shared}
        outbox.post({"event": "placed", **place, "clock": time.time()})
        if why := difference(order.surroundings, surroundings(), order.device):
            outbox.post({"event": "gone", "why": f"node {platform.node()} would compute something else: {why}"})
        elif not shared and order.supplies is None:
            outbox.post({"event": "apart"})
        else:
            outbox.post({"event": "ended", **_worked(order, shared, outbox.post), "clock": time.time()})


def _worked(order: Order, shared: bool, post: Callable[[Event], None]) -> Event:
    """Run the job's cells, in the run directory or in a workshop; return how that ended, and a log that lies here."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(_environment(order))
        if shared:
            return {"ended": LocalExecutor(order.run).execute(order.job, post), "log": None}
        shop = stack.enter_context(Workshop(order.job.ids, order.supplies, fetch))
        return {"ended": LocalExecutor(shop.run).execute(order.job, shop.sender(post)), "log": shop.log()}


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
