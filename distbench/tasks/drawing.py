"""Which documents of a task are asked, and in which order: seeded, by content, the same for every model."""

from __future__ import annotations

import random
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Literal

from distbench.schema.record import DrawnFacts
from distbench.schema.suite import Part
from distbench.stats.looks import look_schedule


@dataclass(frozen=True)
class Drawn:
    """Documents to ask: their indices, and the plan that they are a part of.

    `total` is how many documents the whole draw has; `clusters` the sizes of its clusters in order (None: independent
    documents). `start` and `stop` say which part of the draw `indices` are.
    """

    indices: list[int]
    total: int
    start: int
    stop: int
    clusters: tuple[int, ...] | None = None

    def facts(self) -> DrawnFacts:
        """Return what the record keeps."""
        return DrawnFacts(
            total=self.total, start=self.start, stop=self.stop, cluster_sizes=list(self.clusters or ()) or None
        )


def draw(
    total: int,
    samples: int | Literal["all"],
    seed: int,
    name: str,
    part: Part | None = None,
    clusters: Sequence[Hashable] | None = None,
) -> Drawn:
    """Return a seeded random subset of `total` documents, never the head of the file.

    Without a `part` the indices are sorted. A part is a slice of the seeded order; a clustered task arrives cluster by
    cluster, so that no part holds half a cluster.
    """
    # str seeds hash by content (not PYTHONHASHSEED), so the draw is the same in every process
    generator = random.Random(f"{seed}:{name}")  # noqa: S311
    chosen = list(range(total)) if samples == "all" or samples >= total else generator.sample(range(total), samples)
    if part is None:
        return Drawn(sorted(chosen), len(chosen), 0, len(chosen))
    generator.shuffle(chosen)
    sizes = None
    if clusters is not None:
        order = {label: rank for rank, label in enumerate(dict.fromkeys(clusters[i] for i in chosen))}
        chosen.sort(key=lambda i: order[clusters[i]])  # stable: the seeded order holds inside a cluster
        counts = [0] * len(order)
        for i in chosen:
            counts[order[clusters[i]]] += 1
        sizes = tuple(counts)
    stop = part.stop
    if stop is None:
        stop = look_schedule({name: sizes or len(chosen)})[0][name]
    return Drawn(chosen[part.start : stop], len(chosen), part.start, min(stop, len(chosen)), sizes)
