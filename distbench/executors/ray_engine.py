"""`--engine ray`: the cells of a run on a Ray cluster. The same cells, the same ids, the same records."""

from __future__ import annotations

import contextlib
import io
import os
import socket
import tempfile
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from pydantic import BaseModel, Field

from distbench.errors import EnvironmentFault, UsageError
from distbench.executors.engine import Executor
from distbench.executors.job import Resources
from distbench.executors.manners import own_signals, own_streams
from distbench.executors.ray_executor import RayExecutor
from distbench.executors.ray_mailbox import open_mailbox
from distbench.executors.ray_node import difference, look, surroundings
from distbench.executors.ray_places import Node, holders, missing, nodes_of, slots
from distbench.schema.strict import Strict

ANSWER_WITHIN = 20.0  # seconds for a node to say what it is: a worker has to start there
CONNECT_WITHIN = 5.0
ASK = "--engine ray needs a cluster: --ray-address auto or HOST:PORT (or RAY_ADDRESS), or local"
CLIENT = "ray://"
BY_CLIENT = (
    "Ray Client is not supported: through it the nodes would not notice that a run was killed; start distbench on a "
    "machine of the cluster (`ray job submit` does) with --ray-address auto or HOST:PORT of its head (6379)"
)


class RayOptions(Strict):
    """Which cluster."""

    address: str | None = Field(None, min_length=1, max_length=300)
    retries: int = Field(2, ge=0, le=100)


class RayEngine:
    """Connects to a cluster, looks at its nodes, and leaves it."""

    Options: ClassVar[type[BaseModel]] = RayOptions
    elsewhere: ClassVar[bool] = True
    requires: ClassVar[tuple[str, ...]] = ("ray",)

    def __init__(self, options: BaseModel) -> None:
        assert isinstance(options, RayOptions)
        self.options = options
        self._wanted: list[Resources] = []
        self._mailbox: Any = None
        self._open = contextlib.ExitStack()

    def __enter__(self) -> Self:
        address = self.options.address or os.environ.get("RAY_ADDRESS")
        if not address:
            raise EnvironmentFault(ASK)
        if address.startswith(CLIENT):
            raise UsageError(f"{'--ray-address' if self.options.address else 'RAY_ADDRESS'} {address!r}: {BY_CLIENT}")
        with contextlib.ExitStack() as opening:
            opening.enter_context(own_streams())
            connect(address)
            self._mailbox = open_mailbox()  # its process starts while the suite is planned
            self._open = opening.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        with self._open:
            ray.shutdown()

    def check(self, wanted: Iterable[tuple[str, Resources]]) -> None:
        """Refuse what no node could hold, were it idle; then nodes that would compute something else."""
        import ray

        nodes, each = nodes_of(ray.nodes()), list(wanted)
        for title, resources in each:
            if not holders(resources, nodes):
                raise EnvironmentFault(f"'{title}' {missing(resources, nodes)}")
        self._wanted = [resources for _, resources in each if not resources.alone]
        _check_equal([node for node in nodes if node.cpus], "cuda" if any(r.gpus for _, r in each) else "cpu")

    def executor(self, run: Path) -> Executor:
        """Return what runs the jobs of a run directory."""
        import ray

        room = max(2, slots(self._wanted, nodes_of(ray.nodes())))  # one would mean: this machine, in turn
        return RayExecutor(run, room, self.options.retries, self._mailbox)


def connect(address: str) -> None:
    """Connect to a cluster, or start one on this machine where the address is `local`. Nothing is reported to anybody.

    Raises EnvironmentFault where there is none.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read when a cluster starts
    import ray

    _check_listening(address)
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR", "configure_logging": False}
    if address == "local":
        quiet |= {"include_dashboard": False}
    with own_signals(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            ray.init(address=address, **quiet)
        except Exception as error:
            said = " ".join(str(error).split())[:200] or type(error).__name__
            raise EnvironmentFault(f"no Ray cluster answers at {address!r}: {said}") from error


def _check_listening(address: str) -> None:
    """Raise EnvironmentFault where nobody listens: Ray itself would ask again for a quarter of an hour."""
    if address == "auto":  # where Ray keeps the address of the cluster that this machine belongs to
        file = Path(os.environ.get("RAY_TMPDIR", tempfile.gettempdir())) / "ray" / "ray_current_cluster"
        found = file.read_text(encoding="utf-8").strip() if file.is_file() else ""
        if not found:
            raise EnvironmentFault(
                "--ray-address auto: this machine belongs to no Ray cluster; 'ray start' makes it one"
            )
        address = found
    if address == "local":
        return
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal():
        raise EnvironmentFault(f"--ray-address {address!r}: expected auto, local or HOST:PORT")
    try:
        socket.create_connection((host.strip("[]"), int(port)), CONNECT_WITHIN).close()
    except (OSError, OverflowError) as error:
        raise EnvironmentFault(f"no Ray cluster answers at {address!r}: {error}") from error


def _check_equal(nodes: list[Node], device: str) -> None:
    """Raise EnvironmentFault where a node has other versions than this machine. A silent node is asked again by the
    first job that comes to it."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    def ask(node: Node) -> Any:
        there = NodeAffinitySchedulingStrategy(node.id, soft=False)
        return ray.remote(look).options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote()

    asked = {ask(node): node for node in nodes}
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=ANSWER_WITHIN) if asked else ([], [])
    here = surroundings()
    for answer in answered:
        node = asked[answer]
        try:
            there = ray.get(answer)
        except Exception as error:
            said = " ".join(str(error).split())[-200:]
            raise EnvironmentFault(
                f"node {node.address} cannot run distbench (is it installed there?): {said}"
            ) from error
        if why := difference(here, there, device):
            raise EnvironmentFault(f"node {node.address} would compute something else than this machine: {why}")
