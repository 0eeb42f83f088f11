"""Does the student say what the teacher says, right or wrong?"""

from __future__ import annotations

from distbench.report import numbers
from distbench.report.figures.frame import plain_json
from distbench.report.figures.rows import flip_rows
from distbench.report.sections.section import Fragment, fill
from distbench.report.sections.tasks import task_rows
from distbench.report.view import View
from distbench.schema.result import TaskResult

_MOST_ROWS = 30


class Agreement:
    """Agreement with the teacher, and answers lost and won."""

    title = "Agreement"
    anchor = "agreement"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where no answers were compared."""
        rows = [(student, task) for student, task in task_rows(view) if _known(task)]
        if not rows:
            return None
        flips = [row for row in rows if row[1].fidelity.negative_flips is not None]
        drawn = {"flips": plain_json(flip_rows(flips))} if 0 < len(flips) <= _MOST_ROWS else {}
        html = fill("sections/fidelity.html", view, section=self, rows=rows, drawn=bool(drawn), share=share)
        return Fragment(html, drawn)


def _known(task: TaskResult) -> bool:
    found = task.fidelity
    return (found.agreement, found.negative_flips, found.positive_flips) != (None, None, None)


def share(value: float | None) -> numbers.Shown:
    """Return a share of items."""
    return numbers.optional(value, numbers.percent, "not computed for this task")
