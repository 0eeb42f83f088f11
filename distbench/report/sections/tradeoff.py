"""The key chart and the table of students beside it."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import partial
from typing import Any

from distbench.report import numbers, words
from distbench.report.figures.key import KeyChart, key_chart
from distbench.report.figures.marks import legend
from distbench.report.figures.static import key_svg
from distbench.report.figures.trade import axes
from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View
from distbench.report.visible import one_line
from distbench.schema.result import TradeOff as Plane


@dataclass(frozen=True)
class Front:
    """The Pareto front of one teacher in a sentence."""

    sentence: str


class TradeOff:
    """What each student keeps against what it saves."""

    title = "Trade-off"
    anchor = "tradeoff"

    def render(self, view: View) -> Fragment | None:
        """Return the chart and the table, or None without students."""
        if not view.students:
            return None
        charts = [chart for chart in (key_chart(view, axis) for axis in axes(view)) if chart.shown]
        figures = {f"key:{chart.axis.key}:near": chart.near for chart in charts}
        figures |= {f"key:{chart.axis.key}:full": chart.full for chart in charts if chart.full is not None}
        html = fill(
            "sections/tradeoff.html",
            view,
            section=self,
            axes=[chart.axis for chart in charts],
            zoomed=any(chart.off for chart in charts),
            note=_note(view, charts[0]) if charts else "",
            summary=_summary(view, charts[0]) if charts else "",
            static=_static(view) if charts else "",
            gate=view.threshold("retained"),
            sizes=legend(view),
            trades=[each for each in map(partial(_front, view), view.result.trade_offs) if each],
            points={point.name: point for trade in view.result.trade_offs for point in trade.points},
            kinds=view.size_kinds,
        )
        return Fragment(html, figures, {"key_notes": {chart.axis.key: _note(view, chart) for chart in charts}})


def _static(view: View) -> str:
    """Return the key chart as an image that needs no script, for a reader or a viewer without JavaScript."""
    return "data:image/svg+xml;base64," + base64.b64encode(key_svg(view).encode("utf-8")).decode()


def _front(view: View, trade: Plane) -> Front | None:
    """Say who is on the front, and how large the area under it is; None where nobody could be placed."""
    if trade.hypervolume is None:
        return None
    names = []
    for point in trade.points:
        student = view.by_name.get(point.name)
        if point.on_front and student:
            sure = (
                ""
                if point.front_probability is None
                else f" (P {numbers.whole_percent(round(point.front_probability, 2))})"
            )
            names.append(f"{one_line(student.label, 60)}{sure}")
    teacher = view.teachers.get(trade.teacher)
    beside = f" beside {one_line(teacher.label, 60)}" if teacher and len(view.teachers) > 1 else ""
    return Front(
        f"On the Pareto front{beside}, by {words.size_kind(trade.kind)}: {', '.join(names) or 'no student'}. "
        f"Hypervolume (retained × log₂ of the compression, from retained 0 at 1×): {numbers.plain(trade.hypervolume)}."
    )


def _note(view: View, chart: KeyChart) -> str:
    """Say what the chart leaves out, and why."""
    parts = []
    if chart.off:
        names = ", ".join(f"{point.student.label} ({view.retained(point.student).text})" for point in chart.off)
        parts.append(f"Below this range: {names}. Choose “all students” to see them.")
    no_value = [each.label for each in view.students if each.suite.retained.value is None]
    if no_value:
        parts.append(f"Without a retained share: {', '.join(no_value)}.")
    missing: dict[str, list[str]] = {}
    for name, why in chart.axis.missing.items():
        if view.by_name[name].suite.retained.value is not None:
            missing.setdefault(why, []).append(view.by_name[name].label)
    parts += [f"Not on this axis: {', '.join(labels)} ({why})." for why, labels in missing.items()]
    return " ".join(parts)


def _summary(view: View, chart: KeyChart) -> str:
    """Return the chart in one sentence, for those who cannot see it."""
    verdicts: dict[str, Any] = {}
    for student in view.candidates:
        verdicts[student.verdict] = verdicts.get(student.verdict, 0) + 1
    tally = ", ".join(f"{number} {verdict.lower().replace('_', ' ')}" for verdict, number in verdicts.items())
    gate = view.threshold("retained")
    line = f" Gate at {numbers.whole_percent(gate)}." if gate is not None else ""
    return (
        f"Scatter chart of {chart.shown} models: share of the teacher's skill retained against "
        f"{chart.axis.label}.{line} Students: {tally}. The table below holds the same numbers."
    )
