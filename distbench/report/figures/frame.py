"""What every chart shares: fonts, margins, ratio axes and the parts that plotly should not draw itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from distbench.report import numbers
from distbench.report.theme import LIGHT

if TYPE_CHECKING:  # axes, ticks and planes serve the static chart too, which is drawn without plotly
    import plotly.graph_objects as go

FONT = {"family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", "size": 13}
Drawn = dict[str, Any]


def figure(traces: Sequence[Any], **layout: Any) -> go.Figure:
    """Return a figure on a transparent ground, without plotly's template."""
    import plotly.graph_objects as go

    shared = {
        "template": {},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "font": {**FONT, "color": LIGHT["ink"]},
        "margin": {"l": 60, "r": 24, "t": 16, "b": 52},
        "showlegend": False,
        "hovermode": "closest",
        "hoverlabel": {
            "align": "left",
            "bgcolor": LIGHT["raised"],
            "bordercolor": LIGHT["line"],
            "font": {**FONT, "color": LIGHT["ink"]},
        },
        "dragmode": False,
    }
    return go.Figure(data=list(traces), layout={**shared, **layout})


def axis(title: str, **more: Any) -> Drawn:
    """Return an axis with a light grid."""
    return {
        "title": {"text": title, "standoff": 12, "font": {"size": 13, "color": LIGHT["muted"]}},
        "gridcolor": LIGHT["grid"],
        "linecolor": LIGHT["line"],
        "zeroline": False,
        "showline": True,
        "tickfont": {"color": LIGHT["muted"], "size": 12},
        "fixedrange": True,
        **more,
    }


def ratio_axis(title: str, values: Sequence[float], pad: float = 1.12, **more: Any) -> Drawn:
    """Return a log axis for ratios that holds 1 and all values, with ticks at powers of two."""
    known = [value for value in values if value > 0]
    low, high = min([1.0, *known]) / pad, max([1.0, *known]) * pad
    if high / low < 1.5:
        low, high = low / 1.2, high * 1.2
    ticks = ratio_ticks(low, high)
    return axis(
        title,
        type="log",
        range=[math.log10(low), math.log10(high)],
        tickvals=ticks,
        ticktext=[f"{tick:g}×" for tick in ticks],
        **more,
    )


def ratio_ticks(low: float, high: float) -> list[float]:
    """Return a few round ticks between two ratios: powers of two, with more between them where the range is short."""
    octaves = math.log2(high / low)
    if octaves < 0.9:
        step = 0.1 if high - low < 0.9 else 0.2
        return [round(number * step, 1) for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
    powers = range(math.floor(math.log2(low)), math.ceil(math.log2(high)) + 1)
    between = (1.0, 1.5) if octaves < 3.2 else (1.0,)
    every = math.ceil(octaves / 8)
    ticks = [2.0**power * part for power in powers if power % every == 0 for part in between]
    return [float(f"{tick:.3g}") for tick in ticks if low <= tick <= high]


def error_bar(
    rows: Sequence[tuple[float, float | None, float | None]], colour: str, edge: tuple[float, float]
) -> Drawn:
    """Return error bars for (value, lo, hi); an unbounded side runs to the edge of the plot."""
    low, high = edge
    return {
        "type": "data",
        "symmetric": False,
        "array": [max(0.0, (high if hi is None else hi) - value) for value, _, hi in rows],
        "arrayminus": [max(0.0, value - (low if lo is None else lo)) for value, lo, _ in rows],
        "color": colour,
        "thickness": 1.6,
        "width": 4,
    }


def band(low: float, high: float, direction: str, colour: str) -> Drawn:
    """Return a shaded band across the plot between two values of one axis ("x" or "y")."""
    across = "y" if direction == "x" else "x"
    return {
        "type": "rect",
        "layer": "below",
        f"{direction}ref": direction,
        f"{across}ref": f"{across} domain",
        f"{direction}0": low,
        f"{direction}1": high,
        f"{across}0": 0,
        f"{across}1": 1,
        "fillcolor": colour,
        "line": {"width": 0},
    }


def rule(at: float, direction: str, span: tuple[float, float], colour: str, dash: str = "solid") -> Drawn:
    """Return a line at a value of one axis ("x" or "y"), over the grid and under the marks.

    `span` is the range of the other axis: plotly draws between grid and marks only where both ends are on axes.
    """
    across = "y" if direction == "x" else "x"
    return {
        "type": "line",
        "layer": "between",
        f"{direction}ref": direction,
        f"{across}ref": across,
        f"{direction}0": at,
        f"{direction}1": at,
        f"{across}0": span[0],
        f"{across}1": span[1],
        "line": {"color": colour, "dash": dash, "width": 1.3},
    }


def plain_json(drawn: go.Figure) -> Drawn:
    """Return a figure as data and layout, ready for the page."""
    found: Drawn = drawn.to_plotly_json()
    return {"data": found["data"], "layout": found["layout"]}


def hover(*lines: str | numbers.Shown | None) -> str:
    """Return a hover text; every line must already be safe for plotly."""
    return "<br>".join(str(line) for line in lines if line)
