"""From documents as tokens to rows of one width: packed without waste, or one document a row."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from distbench.data.token_signal import PADDING, TokenRows


@dataclass(frozen=True)
class Tokens:
    """A document: ids [n] int32, and which of them are learned, [n] bool. The first has nothing before it."""

    ids: NDArray[np.int32]
    taught: NDArray[np.bool_]


@dataclass(frozen=True)
class Piece:
    """Tokens `start` … `stop` − 1 of a document; `start` is only seen, the others are predicted."""

    document: int
    start: int
    stop: int

    @property
    def size(self) -> int:
        """Tokens."""
        return self.stop - self.start


@dataclass(frozen=True)
class Place:
    """Where a piece stands: its first token is ids[row, column]."""

    piece: Piece
    row: int
    column: int


@dataclass(frozen=True)
class Layout:
    """Rows, and what stands where in them."""

    rows: TokenRows
    places: list[Place]


def pieces_of(documents: Sequence[Tokens], width: int) -> list[Piece]:
    """Return every document in windows of at most `width` tokens that share one token with the next.

    So each token but a document's first is predicted exactly once. A window in which nothing is learned is left out.
    """
    return [
        Piece(number, start, stop)
        for number, tokens in enumerate(documents)
        for start, stop in windows(len(tokens.ids), width)
        if tokens.taught[start + 1 : stop].any()
    ]


def windows(length: int, width: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of windows over `length` tokens: each but the first begins with the last one's last token."""
    for start in range(0, length - 1, width - 1):
        yield start, min(start + width, length)


def lay_out(documents: Sequence[Tokens], length: int, padding: int, *, packing: bool) -> Layout:
    """Return the rows of documents; `length` predictions a row at most, empty places filled with the token `padding`.

    packing: several documents share a row, attention never crosses from one to the next (see `TokenRows`). Otherwise
    the rows are as wide as the longest needs.
    """
    import torch

    pieces = pieces_of(documents, length + 1)
    bins = pack([piece.size for piece in pieces], length + 1) if packing else [[i] for i in range(len(pieces))]
    width = length + 1 if packing else max((piece.size for piece in pieces), default=length + 1)
    ids = np.full((len(bins), width), padding, dtype=np.int32)
    number = np.full((len(bins), width), PADDING, dtype=np.int32)
    scored = np.zeros((len(bins), width - 1), dtype=np.bool_)
    places = []
    for row, chosen in enumerate(bins):
        column = 0
        for index, each in enumerate(chosen):
            piece = pieces[each]
            tokens, stop = documents[piece.document], column + piece.size
            ids[row, column:stop] = tokens.ids[piece.start : piece.stop]
            number[row, column:stop] = index
            scored[row, column : stop - 1] = tokens.taught[piece.start + 1 : piece.stop]
            places.append(Place(piece, row, column))
            column = stop
    return Layout(TokenRows(torch.from_numpy(ids), torch.from_numpy(number), torch.from_numpy(scored)), places)


def pack(sizes: Sequence[int], width: int) -> list[list[int]]:
    """Return which pieces share a row: best fit, the longest first; no piece is longer than `width`.

    After Ding et al. 2024 ("Fewer Truncations Improve Language Modeling", section 3): nothing is cut to fill a row.
    Rows come in the order of their first piece, so that the first rows are a sample and not the longest pieces.
    """
    rows: list[list[int]] = []
    room: dict[int, list[int]] = {}  # places left → rows
    free: list[int] = []  # the keys of `room`, sorted
    for index in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
        size = sizes[index]
        at = bisect_left(free, size)
        if at < len(free):
            left = free[at]
            row = room[left].pop()
            if not room[left]:
                del room[left], free[at]
        else:
            left, row = width, len(rows)
            rows.append([])
        rows[row].append(index)
        left -= size
        if left not in room:
            insort(free, left)
        room.setdefault(left, []).append(row)
    return sorted((sorted(row) for row in rows), key=lambda row: row[0])
