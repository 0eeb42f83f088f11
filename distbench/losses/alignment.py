"""Where two tokenisations of one text have read equally far: only there can their predictions be compared."""

from __future__ import annotations

from collections.abc import Sequence

Offsets = Sequence[tuple[int, int]]


def aligned(student: Offsets, teacher: Offsets) -> tuple[list[int], list[int]]:
    """Return positions (of the student, of the teacher) after which both have read the same characters of the text.

    Offsets are (start, end) of each token, in characters, as fast tokenizers return them. A token of no characters
    counts at the start of the text, where begin-of-text tokens stand, and nowhere else. Where several tokens end at one
    character (the bytes of one symbol), the last of them has read it. Both lists rise, and are equally long.
    """
    ours, theirs = last_at(student), last_at(teacher)
    common = sorted(ours.keys() & theirs.keys())
    return [ours[end] for end in common], [theirs[end] for end in common]


def last_at(offsets: Offsets) -> dict[int, int]:
    """Return the last token that ends at each character, for ends that rise."""
    found: dict[int, int] = {}
    reached = 0
    for position, (start, end) in enumerate(offsets):
        if end < reached or (end == start and end > 0) or (end == 0 and reached > 0):
            continue
        reached = end
        found[end] = position
    return found
