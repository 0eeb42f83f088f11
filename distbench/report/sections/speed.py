"""What the student buys: time, memory and loading."""

from __future__ import annotations

from distbench.report.figures.frame import plain_json
from distbench.report.figures.rows import ratio_rows
from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View

_MOST_CHARTS = 6


class Speed:
    """Measured ratios with intervals, and both absolute medians."""

    title = "Speed"
    anchor = "speed"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where nothing was measured."""
        keys = view.measures
        if not keys:
            return None
        speed = view.headline_measure("latency")
        rows = [
            (key, student, found)
            for key in keys
            for student in view.students
            if (found := view.measurement(student, key)) is not None
        ]
        known = {key for key, _, found in rows if found.ratio.value is not None}
        drawable = [key for key in view.measures_to_draw if key in known]
        charts = {f"ratio-{number}": key for number, key in enumerate(drawable[:_MOST_CHARTS])}
        figures = {
            name: plain_json(ratio_rows(view, key, view.threshold("speedup") if key == speed else None))
            for name, key in charts.items()
        }
        html = fill(
            "sections/speed.html",
            view,
            section=self,
            rows=rows,
            keys=keys,
            charts=charts,
            undrawn=len(drawable) - len(charts),
        )
        return Fragment(html, figures)
