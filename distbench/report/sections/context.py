"""Up to which context length does the student keep up?"""

from __future__ import annotations

from distbench.report import numbers
from distbench.report.figures.frame import plain_json
from distbench.report.figures.lines import context_lines
from distbench.report.sections.section import Fragment, fill
from distbench.report.sections.tasks import task_rows
from distbench.report.view import View
from distbench.schema.result import ContextCurve

_MOST_CHARTS = 4


class Context:
    """Retention over context length, a chart a task."""

    title = "Context"
    anchor = "context"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where no sample has a length."""
        rows = [(student, task, task.context) for student, task in task_rows(view) if task.context]
        if not rows:
            return None
        tasks = list(dict.fromkeys(task.task for _, task, _ in rows))
        charts = {f"context-{k}": task for k, task in enumerate(tasks[:_MOST_CHARTS])}
        figures = {
            name: plain_json(context_lines(view, [(s, found) for s, task, found in rows if task.task == wanted]))
            for name, wanted in charts.items()
        }
        html = fill(
            "sections/context.html", view, section=self, rows=rows, charts=charts, effective=effective, gaps=gaps
        )
        return Fragment(html, figures)


def effective(curve: ContextCurve) -> str:
    """Return the effective length, or that even the shortest does not pass."""
    if curve.effective_length is None and curve.buckets and not curve.buckets[0].n:
        return "none: the shortest length was not run on both sides"
    if curve.effective_length is None:
        return "none: the shortest length does not pass"
    return f"{numbers.count(curve.effective_length)} tokens"


def gaps(curve: ContextCurve) -> list[str]:
    """Return the lengths without a sample, each with its reason."""
    return [
        f"{numbers.count(bucket.length)} tokens: {bucket.retained.reason or 'no sample'}"
        for bucket in curve.buckets
        if not bucket.n
    ]
