"""Does the student say what the teacher says, right or wrong?"""

from __future__ import annotations

from distbench.report import numbers
from distbench.report.figures.frame import plain_json
from distbench.report.figures.rows import flip_rows
from distbench.report.numbers import Shown
from distbench.report.sections.section import Fragment, fill
from distbench.report.sections.tasks import task_rows
from distbench.report.view import View
from distbench.schema.result import Divergence, Estimate, Fidelity, TaskResult

_MOST_ROWS = 30
_NONE = "not computed for this task"


class Agreement:
    """Agreement with the teacher, answers lost and won, and the divergence of the distributions."""

    title = "Agreement"
    anchor = "agreement"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where no answers were compared."""
        rows = [(student, task) for student, task in task_rows(view) if _known(task)]
        divergences = [(student, found) for student in view.students for found in student.divergence]
        if not rows and not divergences:
            return None
        flips = [row for row in rows if row[1].fidelity.negative_flips is not None]
        drawn = {"flips": plain_json(flip_rows(flips))} if 0 < len(flips) <= _MOST_ROWS else {}
        overlaps = sorted({name for _, task in rows for name in task.fidelity.text_overlap})
        html = fill(
            "sections/fidelity.html",
            view,
            section=self,
            rows=rows,
            divergences=divergences,
            overlaps=overlaps,
            drawn=bool(drawn),
            share=lambda found: share(view, found),
            kappa=lambda found: numbers.perhaps(found, numbers.as_plain, _NONE),
            divergence=lambda found: divergence(view, found),
        )
        return Fragment(html, drawn)


def _known(task: TaskResult) -> bool:
    return task.fidelity != Fidelity()


def share(view: View, found: Estimate | None) -> Shown:
    """Return a share of items; it never rounds across the ceiling on answers lost."""
    against = view.against("max_negative_flips")
    return numbers.perhaps(found, lambda each: numbers.as_percent(each, against), _NONE)


def divergence(view: View, found: Divergence) -> Shown:
    """Return one divergence: a share where it is an agreement, else a number in its own unit."""
    if found.metric.endswith("agreement"):
        return numbers.as_percent(found.value)
    return numbers.as_plain(found.value, view.against("max_kl") if found.metric == "kl" else ())
