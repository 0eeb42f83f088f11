"""Many sequences in one row: a token trie in depth-first order, each distinct prefix once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from distbench.scoring.requests import Request, Tokens


def order(requests: Sequence[Request]) -> list[int]:
    """Return the indices of the requests sorted by their tokens, so that shared prefixes become neighbours."""
    # Big-endian bytes compare as the token ids do, and memcmp is what makes long few-shot prompts cheap to sort.
    keys = [request.tokens.astype(">u4").tobytes() for request in requests]
    return sorted(range(len(requests)), key=keys.__getitem__)


def common_prefix(a: Tokens, b: Tokens) -> int:
    """Return how many leading tokens two sequences share."""
    size = min(len(a), len(b))
    different = np.flatnonzero(a[:size] != b[:size])
    return int(different[0]) if different.size else size


@dataclass
class Row:
    """A trie being filled.

    Node i holds token `tokens[i]` at position `depth[i]` of every sequence that passes through it. Its descendants are
    the nodes i+1 … `end[i]`−1, because sequences arrive in sorted order: that makes the ancestor mask one comparison.
    `skip` leading tokens of every sequence lie in a cache and are not nodes.
    """

    skip: int = 0
    tokens: list[int] = field(default_factory=list)
    depth: list[int] = field(default_factory=list)
    end: list[int] = field(default_factory=list)
    scored: list[Scored] = field(default_factory=list)
    _path: list[int] = field(default_factory=list)
    _last: Tokens | None = None

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def chain(self) -> bool:
        """Say whether no node has two children: then a causal mask is the ancestor mask."""
        return all(end == len(self.tokens) for end in self.end)

    def shared(self, request: Request) -> int:
        """Return how many leading tokens (those in the cache included) are already there."""
        return self.skip if self._last is None else max(self.skip, common_prefix(self._last, request.tokens))

    def add(self, index: int, request: Request) -> None:
        """Insert request number `index`; requests come in the order of `order`."""
        shared = self.shared(request)
        self._leave(shared - self.skip)
        for position in range(shared, len(request.tokens)):
            self._path.append(len(self.tokens))
            self.tokens.append(int(request.tokens[position]))
            self.depth.append(position)
            self.end.append(-1)
        nodes = np.asarray(self._path[request.first - self.skip :], dtype=np.int64)
        strangers = self._path[-1] - self._path[0] + 1 - len(self._path)
        self.scored.append(Scored(index, nodes, request.targets, strangers))
        self._last = request.tokens

    def close(self) -> None:
        """Say that no request follows."""
        self._leave(0)

    def _leave(self, kept: int) -> None:
        """End every node of the current path below its first `kept`."""
        for node in self._path[kept:]:
            self.end[node] = len(self.tokens)
        del self._path[kept:]


@dataclass(frozen=True)
class Scored:
    """Where a request's targets are predicted: node `nodes[i]` predicts `targets[i]`.

    `strangers`: nodes between its first and its last one that belong to other sequences alone.
    """

    index: int
    nodes: NDArray[np.int64]
    targets: Tokens
    strangers: int
