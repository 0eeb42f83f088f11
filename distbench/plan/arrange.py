"""Put bundles of work into the order in which they say most per second. Nothing here knows what the work is."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Bundle:
    """Cells that say something only together, in an order in which they can run.

    `tier`: what is in a lower one comes first, whatever it costs. `gain`: how much is known when all are done.
    """

    cells: tuple[str, ...]
    tier: int
    gain: float
    about: str = ""
    builds_on: tuple[str, ...] = ()  # cells of earlier bundles that it needs: set by `arrange`


def arrange(
    bundles: Sequence[Bundle], seconds: Mapping[str, float], have: frozenset[str] = frozenset()
) -> list[Bundle]:
    """Return the bundles in order, each with the cells that none before it has.

    In a tier the one comes next that gains most for each second that is left of it: what it shares with earlier ones
    is paid. A greedy order, as of a knapsack; `have`: cells that cost nothing, since they are done.
    """
    found: list[Bundle] = []
    placed = set(have)
    for tier in sorted({bundle.tier for bundle in bundles}):
        found += _greedy([bundle for bundle in bundles if bundle.tier == tier], seconds, placed)
    return found


def _greedy(bundles: Sequence[Bundle], seconds: Mapping[str, float], placed: set[str]) -> list[Bundle]:
    with_cell: dict[str, list[int]] = defaultdict(list)
    for number, bundle in enumerate(bundles):
        for cell in bundle.cells:
            with_cell[cell].append(number)

    def rank(number: int) -> float:
        left = sum(seconds[cell] for cell in bundles[number].cells if cell not in placed)
        return -bundles[number].gain / max(left, 1e-9)

    ranks = [rank(number) for number in range(len(bundles))]
    heap = [(each, number) for number, each in enumerate(ranks)]
    heapq.heapify(heap)
    found: list[Bundle] = []
    while heap:
        known, number = heapq.heappop(heap)
        if known != ranks[number]:  # it was paid in part since: a newer entry stands further up
            continue
        ranks[number] = float("nan")
        fresh = tuple(dict.fromkeys(cell for cell in bundles[number].cells if cell not in placed))
        if fresh:
            shared = tuple(cell for cell in bundles[number].cells if cell not in fresh)
            found.append(replace(bundles[number], cells=fresh, builds_on=shared))
        placed.update(fresh)
        for other in {other for cell in fresh for other in with_cell[cell]}:
            if ranks[other] == ranks[other]:  # not placed itself
                ranks[other] = rank(other)
                heapq.heappush(heap, (ranks[other], other))
    return found
