"""Which requests share a row, and which prefix is worth computing once for many rows."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from distbench.scoring.requests import Request, Tokens
from distbench.scoring.trie import Row, common_prefix, order

MIN_PREFIX = 64  # tokens: below this a cached prefix saves less than its own pass costs


@dataclass(frozen=True)
class Segment:
    """Rows whose sequences all begin with `prefix`, which is computed once and kept as keys and values."""

    prefix: Tokens
    rows: list[Row]

    @property
    def shared(self) -> dict[int, int]:
        """Return the requests that are not scored as they would be alone: those behind another one, or a prefix.

        The value is how many nodes of others lie between its own.
        """
        first = 0 if len(self.prefix) else 1
        return {scored.index: scored.strangers for row in self.rows for scored in row.scored[first:]}

    def only(self, answered: Collection[int]) -> Segment:
        """Return the rows whose requests are all among the `answered` ones."""
        return Segment(self.prefix, [row for row in self.rows if all(each.index in answered for each in row.scored)])


def pack(requests: Sequence[Request], budget: int, but: Collection[int] = ()) -> list[Segment]:
    """Return every request in a row of about `budget` tokens (more only where sequences of one context need it).

    `but`: indices of requests that are left out.
    """
    ranked = [index for index in order(requests) if index not in but]
    # shares[i]: leading tokens that the i-th and the (i+1)-th request in sorted order have in common
    shares = [common_prefix(requests[a].tokens, requests[b].tokens) for a, b in itertools.pairwise(ranked)]
    return [
        _segment(requests, ranked[low:high], prefix, budget)
        for low, high, prefix in _spans(requests, ranked, np.asarray(shares, dtype=np.int64), budget)
    ]


def _spans(
    requests: Sequence[Request], ranked: list[int], shares: np.ndarray, budget: int
) -> Iterator[tuple[int, int, int]]:
    """Yield (low, high, prefix length) of runs of the sorted requests.

    A run that needs several rows is given its longest common prefix from a cache, unless parts of it that need several
    rows themselves share at least MIN_PREFIX tokens more: those become runs of their own. A prefix beyond the budget
    is cached for a single row too: the mask of a row grows with the square of its nodes, that of a prefix is causal.
    """
    lengths = np.asarray([len(requests[i].tokens) for i in ranked])
    firsts = np.asarray([requests[i].first for i in ranked])
    # new[i]: nodes that the i-th request adds to a trie which holds the one before it
    new = lengths - np.concatenate([[0], shares])

    def visit(low: int, high: int) -> Iterator[tuple[int, int, int]]:
        inner = shares[low : high - 1]
        prefix = int(min(inner.min(), firsts[low:high].min())) if len(inner) else 0
        if lengths[low] + new[low + 1 : high].sum() <= budget + prefix or high - low < 2:
            yield low, high, prefix if prefix > budget else 0
            return
        lowest = int(inner.min())
        cuts = [low, *(low + 1 + np.flatnonzero(inner == lowest)), high]
        loose = low  # start of the parts that stay together
        for a, b in itertools.pairwise(cuts):
            own = shares[a : b - 1]
            rich = len(own) and own.min() >= lowest + MIN_PREFIX and lengths[a] + new[a + 1 : b].sum() > 2 * budget
            if rich:
                if loose < a:
                    yield loose, a, prefix if prefix >= MIN_PREFIX else 0
                yield from visit(a, b)
                loose = b
        if loose < high:
            yield loose, high, prefix if prefix >= MIN_PREFIX else 0

    if ranked:
        yield from visit(0, len(ranked))


def _segment(requests: Sequence[Request], ranked: list[int], prefix: int, budget: int) -> Segment:
    rows: list[Row] = []
    row = Row(skip=prefix)
    for index in ranked:
        request = requests[index]
        shared = row.shared(request)
        new, alone = len(request.tokens) - shared, len(request.tokens) - prefix
        # A context that is mostly there already is worth a longer row; twice the budget bounds the mask.
        full = len(row) + new > budget and (new * 2 > alone or len(row) + new > 2 * max(budget, alone))
        if len(row) and full:
            row.close()
            rows.append(row)
            row = Row(skip=prefix)
        row.add(index, request)
    row.close()
    rows.append(row)
    return Segment(requests[ranked[0]].tokens[:prefix], rows)
