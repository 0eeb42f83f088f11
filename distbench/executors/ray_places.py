"""Which nodes of a cluster can hold a job: pure functions over what Ray says of its nodes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distbench.executors.job import Resources
from distbench.schema.sizes import size_words

HEAD = "node:__internal_head__"


@dataclass(frozen=True)
class Node:
    """A living node and everything it has, whether it is in use or not. `memory` in bytes."""

    id: str
    address: str
    has: Mapping[str, float]

    @property
    def cpus(self) -> float:
        """Its CPUs, as Ray was told."""
        return self.has.get("CPU", 0.0)

    @property
    def words(self) -> str:
        """What it has, in words."""
        own = {
            name: amount for name, amount in self.has.items() if not name.startswith(("node:", "object_store_memory"))
        }
        named = [f"{amount:g} {name}" for name, amount in sorted(own.items()) if name not in {"CPU", "GPU", "memory"}]
        parts = [f"{self.cpus:g} CPUs", f"{own.get('GPU', 0.0):g} GPUs", size_words(own.get("memory", 0.0)), *named]
        return f"{self.address} ({', '.join(parts)})"


def nodes_of(told: Iterable[Mapping[str, Any]]) -> list[Node]:
    """Return the living nodes of `ray.nodes()`."""
    return [Node(each["NodeID"], each["NodeManagerAddress"], each["Resources"]) for each in told if each["Alive"]]


def demand(wanted: Resources) -> dict[str, float]:
    """Return what a job takes of a node, by Ray's names."""
    amounts = {"CPU": wanted.cpus, "GPU": wanted.gpus, "memory": float(wanted.memory or 0), **dict(wanted.custom)}
    return {name: amount for name, amount in amounts.items() if amount}


def holders(wanted: Resources, nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes that are large enough for a job, were they idle."""
    asked = demand(wanted)
    return [node for node in nodes if all(node.has.get(name, 0.0) >= amount for name, amount in asked.items())]


def missing(wanted: Resources, nodes: Sequence[Node]) -> str:
    """Say why no node can hold a job: what it needs, and what there is."""
    short = [name for name, amount in demand(wanted).items() if all(node.has.get(name, 0.0) < amount for node in nodes)]
    needs = ", ".join(amount_words(name, amount) for name, amount in demand(wanted).items())
    said = (
        f"no node has {', '.join(_NOUNS.get(name, name) for name in short)} enough"
        if short
        else ("no single node has all of it")
    )
    there = "; ".join(node.words for node in nodes[:8]) or "no node"
    more = f"; and {len(nodes) - 8} more" if len(nodes) > 8 else ""
    seen = "; the memory is what such a cell has taken before (resources.memory in the suite goes before that)"
    return f"needs {needs}, and {said}: the cluster has {there}{more}{seen if wanted.estimated else ''}"


_NOUNS = {"CPU": "CPUs", "GPU": "GPUs"}


def amount_words(name: str, amount: float) -> str:
    """Return an amount of a resource in words."""
    return f"{size_words(amount)} of memory" if name == "memory" else f"{amount:g} {_NOUNS.get(name, name)}"


def quiet_node(wanted: Resources, nodes: Sequence[Node], before: str | None, avoid: Collection[str]) -> Node | None:
    """Return the node for a measurement: the one of the last measurement while it lives, so that the measurements of a
    run come from one machine; else the largest, rather not the head, which has work of its own."""
    able = [node for node in holders(wanted, nodes) if node.id not in avoid] or holders(wanted, nodes)
    same = next((node for node in able if node.id == before), None)
    return same or min(able, key=lambda node: (HEAD in node.has, -node.cpus, node.address, node.id), default=None)


def slots(wanted: Sequence[Resources], nodes: Sequence[Node]) -> int:
    """Return how many of the smallest of these jobs the nodes hold at once: at least 1."""
    if not wanted:
        return 1
    asked = demand(min(wanted, key=lambda each: (each.gpus, each.cpus)))
    counts = [min(int(node.has.get(name, 0.0) // amount) for name, amount in asked.items()) for node in nodes]
    return max(1, sum(counts))
