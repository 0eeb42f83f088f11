"""The key chart and the table of students beside it."""

from __future__ import annotations

from typing import Any

from distbench.report import numbers
from distbench.report.figures.key import KeyChart, key_chart
from distbench.report.figures.trade import axes
from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View


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
            gate=view.threshold("retained"),
        )
        return Fragment(html, figures, {"key_notes": {chart.axis.key: _note(view, chart) for chart in charts}})


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
