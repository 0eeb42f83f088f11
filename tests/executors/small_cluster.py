"""Clusters of several small nodes on this machine, however busy it is."""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any

import psutil

STORE = 80_000_000  # bytes of a node's object store
AGENTS = ("metrics_agent_port", "metrics_export_port", "dashboard_agent_listen_port", "runtime_env_agent_port")


def small_cluster(cpus: int = 0, tries: int = 4) -> Any:
    """Start a head of so many CPUs. A node gives up where its agents need more than 15 s to start: then once more."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    from ray.cluster_utils import Cluster

    before = set(psutil.Process().children(recursive=True))
    while True:
        try:
            head = {"num_cpus": cpus, "include_dashboard": False, **_small()}
            return Cluster(initialize_head=True, head_node_args=head)
        except Exception as error:
            tries -= 1
            if not tries or "timed out during startup" not in str(error):
                raise
            for child in set(psutil.Process().children(recursive=True)) - before:
                with contextlib.suppress(psutil.Error):
                    child.kill()


def add_node(cluster: Any, cpus: int, address: str | None = None) -> Any:
    """Add a node of so many CPUs. One with a loopback `address` of its own is surely not the one that a driver joins:
    the driver would end with it."""
    return cluster.add_node(num_cpus=cpus, **_small(), **({"node_ip_address": address} if address else {}))


def _small() -> dict[str, int]:
    """Return a node's limits, and ports for its agents: a node that knows them does not wait to be told."""
    return {"object_store_memory": STORE} | {name: _free_port() for name in AGENTS}


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        port: int = free.getsockname()[1]
        return port
