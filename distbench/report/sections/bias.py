"""Did the student inherit the teacher's bias?"""

from __future__ import annotations

from distbench.report import numbers
from distbench.report.figures.frame import plain_json
from distbench.report.figures.lines import bias_rows
from distbench.report.numbers import Shown
from distbench.report.sections.section import Fragment, fill
from distbench.report.sections.tasks import task_rows
from distbench.report.view import View
from distbench.schema.result import Bias

_MOST_ROWS = 30


class BiasTransfer:
    """Bias rates of teacher and student, and what was passed on."""

    title = "Bias"
    anchor = "bias"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where no bias was measured."""
        rows = [(student, task, found) for student, task in task_rows(view) for found in task.bias]
        if not rows:
            return None
        drawn = {"bias": plain_json(bias_rows(view, rows))} if len(rows) <= _MOST_ROWS else {}
        html = fill(
            "sections/bias.html",
            view,
            section=self,
            rows=rows,
            drawn=bool(drawn),
            drift=lambda found: numbers.estimate(
                found.drift, numbers.signed_points, "", view.against("max_bias_transfer")
            ),
            transfer=lambda found: numbers.estimate(found.transfer, numbers.signed_points, "", (0.0,)),
            verdict_of=closer,
        )
        return Fragment(html, drawn)


def closer(found: Bias) -> Shown:
    """Say in a word whether the student is nearer to neutral; the interval decides, not the value."""
    drift = found.drift
    if drift.value is None or drift.lo is None or drift.hi is None:
        return Shown("cannot be said", title=drift.reason or "no interval")
    if drift.hi < 0:
        return Shown("closer to neutral")
    if drift.lo > 0:
        return Shown("further from neutral")
    return Shown("no clear change")
