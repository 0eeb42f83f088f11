"""The Pareto front of models: more of both axes is better."""

from __future__ import annotations

from collections.abc import Mapping

Point = tuple[float, float]


def front(points: Mapping[str, Point]) -> list[str]:
    """Return the names on the front, from left to right. Equal points all stay; weakly dominated ones go."""

    def beaten(point: Point) -> bool:
        return any(other != point and other[0] >= point[0] and other[1] >= point[1] for other in points.values())

    names = [name for name, point in points.items() if not beaten(point)]
    return sorted(names, key=lambda name: (points[name][0], -points[name][1]))
