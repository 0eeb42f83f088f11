"""Which documents are held out, and in which order the others come: decided by what they say, not where they stand.

A document's place is the hash of its content and a seed. So a duplicate never lies on both sides, the order of files
changes nothing, and the first N documents of a larger N are the same: a curve over N compares nested samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from distbench.errors import RunError
from distbench.hashing import digest


@dataclass(frozen=True)
class Split:
    """Indices of documents."""

    train: list[int]
    heldout: list[int]


def split(keys: Sequence[str], heldout: float, seed: int, samples: int | None) -> Split:
    """Return a split of documents with these content hashes.

    heldout: a number of distinct documents (int), or their share (float, rounded, at least one). samples: how many of
    the others are kept. Raises RunError where a side would be empty, or has fewer than `samples`.
    """
    if not keys:
        raise RunError("0 examples: the data holds no document")
    distinct = sorted(set(keys), key=lambda key: digest([seed, key]))
    count = heldout if isinstance(heldout, int) else max(1, round(heldout * len(distinct)))
    if count >= len(distinct):
        raise RunError(
            f"0 examples to learn from: {len(distinct)} distinct documents, and heldout: {heldout} keeps {count} of "
            "them; give more documents, or hold fewer out"
        )
    place = {key: number for number, key in enumerate(distinct)}
    order = sorted(range(len(keys)), key=lambda index: (place[keys[index]], index))
    held = [index for index in order if place[keys[index]] < count]
    train = [index for index in order if place[keys[index]] >= count]
    if samples is not None and samples > len(train):
        raise RunError(f"samples: {samples}, and only {len(train)} documents are there to learn from")
    return Split(train[:samples], held)
