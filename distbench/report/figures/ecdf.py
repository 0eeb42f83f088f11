"""The distribution of times: the share of answers that were finished within each time, step by step."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from distbench.report import numbers
from distbench.report.figures import frame
from distbench.report.figures.spread import bounded, paint_of
from distbench.report.measured import MS, Spread
from distbench.report.view import View
from distbench.report.visible import plot_text

_PAD = 0.04
_FAR = 1.5  # times the largest 95th percentile: a lone stall must not squeeze everything else


def ecdf_lines(view: View, spreads: Sequence[Spread]) -> go.Figure:
    """Draw the share of single times (y) at or below a time (x), a step line a model; the teacher is grey.

    spreads: those of one measure, with `times`. Marks: percentiles that the sample can bound, the bar to the right ends
    at the upper limit of the true one.
    """
    known = [each for each in spreads if each.times]
    low = min(each.times[0] for each in known)
    high = min(max(each.times[-1] for each in known), _FAR * max(_at(each.times, 0.95) for each in known))
    pad = (high - low or high or 1.0) * _PAD
    edge = (max(0.0, low - pad), high + pad)
    traces = [trace for each in known for trace in (_steps(view, each, edge), _marks(view, each))]
    along = frame.axis("ms; left is faster", range=list(edge), nticks=6)
    up = frame.axis("share of the times", range=[-2, 102], ticksuffix=" %", dtick=25)
    return frame.figure(traces, height=300, margin={"l": 62, "r": 14, "t": 8, "b": 52}, xaxis=along, yaxis=up)


def _at(times: Sequence[float], share: float) -> float:
    return times[min(len(times) - 1, int(share * len(times)))]


def _steps(view: View, spread: Spread, edge: tuple[float, float]) -> go.Scatter:
    times, student = spread.times, spread.student
    shares = [(k + 1) / len(times) * 100 for k in range(len(times))]
    dash = "dot" if student is not None and student.role == "control" else "solid"
    return go.Scatter(
        x=[edge[0], *times, max(edge[1], times[-1])],
        y=[0.0, *shares, 100.0],
        mode="lines",
        name=plot_text(spread.label),
        meta=None if student is None else student.name,
        line={"shape": "hv", "color": paint_of(view, spread), "width": 2, "dash": dash},
        hoverinfo="text",
        hovertext=[
            "",
            *(
                frame.hover(
                    plot_text(spread.label, 60),
                    f"{numbers.decimal(share, 0)} % within {numbers.duration(time * MS)}",
                    numbers.items(spread.facts[0].n) if spread.facts else None,
                )
                for time, share in zip(times, shares, strict=True)
            ),
            "",
        ],
    )


def _marks(view: View, spread: Spread) -> go.Scatter:
    return go.Scatter(**bounded(view, spread, lambda percent: percent), mode="markers")
