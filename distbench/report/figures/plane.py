"""The plane of the key chart: which points are on it, its edges, and where a point falls in pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from distbench.report.figures import frame
from distbench.report.figures.pareto import front
from distbench.report.figures.trade import Axis, Point, window
from distbench.report.view import View

HEIGHT = 430
MARGIN = {"l": 68, "r": 106, "t": 14, "b": 58}
PLOT_HEIGHT = HEIGHT - MARGIN["t"] - MARGIN["b"]
PLOT_WIDTHS = {"wide": 860.0, "middle": 560.0, "narrow": 420.0}  # names are placed for each; the page takes one set
_TEACHER = "\0"  # no student can have this name


@dataclass(frozen=True)
class Plane:
    """The points of one chart, and the window they are seen through."""

    view: View
    axis: Axis
    shown: Sequence[Point]

    @cached_property
    def along(self) -> frame.Drawn:
        """The horizontal axis."""
        reach = [x for point in self.shown for x in (point.x, *point.x_interval) if x is not None]
        return frame.ratio_axis(self.axis.title, reach, pad=1.15)

    @cached_property
    def x_edge(self) -> tuple[float, float]:
        """The ratios at the left and right edge."""
        low, high = self.along["range"]
        return 10.0**low, 10.0**high

    @cached_property
    def y_edge(self) -> tuple[float, float]:
        """The retained shares at the lower and upper edge, in per cent."""
        low, high = window(self.view, self.shown, PLOT_HEIGHT)
        return low * 100, high * 100

    @cached_property
    def frontier(self) -> list[tuple[float, float]]:
        """The Pareto front of teacher and students, from left to right. Controls are not candidates."""
        known = {point.student.name: (point.x, point.y * 100) for point in self.shown if not point.control}
        known[_TEACHER] = (1.0, 100.0)
        return [known[name] for name in front(known)]

    def pixels(self, x: float, percent: float, width: float) -> tuple[float, float]:
        """Return where a point falls, from the upper left corner."""
        (left, right), (low, high) = self.x_edge, self.y_edge
        across = math.log(x / left) / math.log(right / left) * width
        return across, (high - percent) / (high - low) * PLOT_HEIGHT
