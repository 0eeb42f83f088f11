"""Where labels fit: a label that would cover another mark is moved, and left out where nothing fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

_CHARACTER, _LINE, _GAP = 6.6, 15.0, 11.0


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Tell whether two rectangles overlap."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )

    def inside(self, other: Box) -> bool:
        """Tell whether the rectangle lies within another."""
        return (
            self.left >= other.left
            and self.right <= other.right
            and self.top >= other.top
            and self.bottom <= other.bottom
        )


@dataclass(frozen=True)
class Place:
    """An anchor for an annotation, relative to its point."""

    xanchor: str
    yanchor: str
    xshift: float
    yshift: float


_PLACES = [
    Place("left", "middle", _GAP, 0),
    Place("left", "bottom", 10, 5),
    Place("left", "top", 10, -5),
    Place("right", "middle", -_GAP, 0),
    Place("right", "bottom", -10, 5),
    Place("right", "top", -10, -5),
]


def place(
    texts: Sequence[tuple[str, float, float]], marks: Sequence[Box], lines: Sequence[Box], area: Box
) -> list[Place | None]:
    """Return a place for each (text, x, y in pixels), in order of importance; None where none is free.

    A label never covers a mark or another label; it crosses a line only where nothing else is left.
    """
    taken = list(marks)
    found: list[Place | None] = []
    for text, x, y in texts:
        options = [(option, _box(option, len(text) * _CHARACTER, x, y)) for option in _PLACES]
        free = [
            (any(box.meets(line) for line in lines), number)
            for number, (_, box) in enumerate(options)
            if box.inside(area) and not any(box.meets(other) for other in taken)
        ]
        if not free:
            found.append(None)
            continue
        chosen, box = options[min(free)[1]]
        taken.append(box)
        found.append(chosen)
    return found


def _box(option: Place, width: float, x: float, y: float) -> Box:
    left = x + option.xshift - (width if option.xanchor == "right" else 0)
    top = y - option.yshift - {"middle": _LINE / 2, "bottom": _LINE, "top": 0.0}[option.yanchor]
    return Box(left, top, left + width, top + _LINE)
