"""The charts of a trend: one line a student over the releases; a release without it is a gap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import plotly.graph_objects as go

from distbench.report import numbers, words
from distbench.report.figures import frame
from distbench.report.numbers import Shown
from distbench.report.theme import LIGHT, colour, symbol
from distbench.report.visible import plot_lines, plot_text
from distbench.schema.estimate import Estimate
from distbench.schema.trend import Trend, TrendLine, TrendPoint

_REACH = 0.3  # of an interval that is drawn: a wide one would squeeze all lines
_APART = 0.08  # of a release between two lines, so that their bars do not cover each other
Limits = tuple[float, float | None, float | None]


@dataclass(frozen=True)
class Quantity:
    """What is drawn of each release. `level` is a line across: the teacher; `gate` another, or None."""

    title: str
    read: Callable[[TrendPoint], Estimate | None]
    wording: Callable[[Estimate], Shown]
    suffix: str
    scale: float = 1.0
    gate: float | None = None

    @property
    def level(self) -> float:
        """The teacher itself."""
        return self.scale


def retained(trend: Trend) -> Quantity:
    """Return what students retain, in per cent."""
    return Quantity(
        "retained", lambda point: point.retained, numbers.as_percent, " %", 100.0, trend.thresholds.get("retained")
    )


def ratio(title: str, read: Callable[[TrendPoint], Estimate | None]) -> Quantity:
    """Return a ratio to the teacher."""
    return Quantity(title, read, numbers.as_ratio, "×")


def trend_lines(trend: Trend, lines: Sequence[TrendLine], slots: dict[str, int], what: Quantity) -> go.Figure:
    """Draw a quantity over the releases, a line a student; controls are dotted and hollow."""
    known = [each for line in lines for point in line.points if point is not None and (each := what.read(point))]
    edge = _edge(known, what)
    span = (-0.5, len(trend.releases) - 0.5)
    shapes = [frame.rule(what.level, "y", span, LIGHT["muted"])]
    if what.gate is not None:
        shapes.append(frame.band(edge[0], what.gate * what.scale, "y", LIGHT["shade"]))
        shapes.append(frame.rule(what.gate * what.scale, "y", span, LIGHT["fail"], "dash"))
    names = [plot_lines(release.label, 16, 3) for release in trend.releases]
    ticks = {"tickvals": list(range(len(names))), "ticktext": names}
    step = min(_APART, 0.5 / max(1, len(lines)))
    return frame.figure(
        [
            _line(trend, line, what, slots[line.name], (place - (len(lines) - 1) / 2) * step, edge)
            for place, line in enumerate(lines)
        ],
        height=374,
        margin={"l": 72, "r": 14, "t": 8, "b": 80},
        xaxis=frame.axis("release", range=list(span), **ticks),
        yaxis=frame.axis(what.title, range=list(edge), ticksuffix=what.suffix, nticks=6),
        shapes=shapes,
    )


def _line(
    trend: Trend, line: TrendLine, what: Quantity, slot: int, shift: float, edge: tuple[float, float]
) -> go.Scatter:
    """Draw one student; None leaves a gap, nothing is drawn across it."""
    control, paint = line.role == "control", colour(slot)
    read = [None if point is None else what.read(point) for point in line.points]
    rows = [_limits(each, what.scale) for each in read]
    return go.Scatter(
        x=[place + shift for place in range(len(rows))],
        y=[None if row is None else row[0] for row in rows],
        error_y=frame.error_bar([(0.0, 0.0, 0.0) if row is None else row for row in rows], paint, edge),
        mode="lines+markers",
        connectgaps=False,
        name=plot_text(line.label),
        meta=line.name,
        line={"color": paint, "width": 1.8, "dash": "dot" if control else "solid"},
        marker={
            "symbol": symbol(slot),
            "size": 10,
            "color": LIGHT["bg"] if control else paint,
            "line": {"color": paint, "width": 2},
        },
        hoverinfo="text",
        hovertext=[
            None
            if point is None or each is None
            else frame.hover(
                plot_text(line.label, 60),
                plot_text(release.label, 60),
                f"{what.title} {plot_text(str(what.wording(each)), 120)}",
                words.VERDICTS[point.verdict].word,
            )
            for release, point, each in zip(trend.releases, line.points, read, strict=True)
        ],
    )


def _limits(found: Estimate | None, scale: float) -> Limits | None:
    """Return value and limits; without an interval a bar of no length, not one to the edge."""
    if found is None or found.value is None:
        return None
    if found.lo is None and found.hi is None:
        return found.value * scale, found.value * scale, found.value * scale
    lo, hi = (None if limit is None else limit * scale for limit in (found.lo, found.hi))
    return found.value * scale, lo, hi


def _edge(known: Sequence[Estimate], what: Quantity) -> tuple[float, float]:
    reach = [1.0, *([] if what.gate is None else [what.gate])]
    for each in known:
        if each.value is not None:
            reach.append(each.value)
            reach += [] if each.lo is None else [max(each.lo, each.value - _REACH)]
            reach += [] if each.hi is None else [min(each.hi, each.value + _REACH)]
    pad = max(0.01, 0.05 * (max(reach) - min(reach)))
    return (min(reach) - pad) * what.scale, (max(reach) + pad) * what.scale
