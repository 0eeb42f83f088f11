"""Do the models know when they are right?"""

from __future__ import annotations

from distbench.report import numbers
from distbench.report.figures.frame import plain_json
from distbench.report.figures.lines import reliability_diagram
from distbench.report.numbers import Shown
from distbench.report.sections.section import Fragment, fill
from distbench.report.sections.tasks import task_rows
from distbench.report.view import View
from distbench.schema.result import Beside, Calibration, StudentResult, TaskResult

_MOST_CHARTS = 4


class Reliability:
    """Calibration and selective prediction, the teacher next to the student."""

    title = "Calibration"
    anchor = "calibration"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where no model said how sure it was."""
        rows = [(student, task, task.calibration) for student, task in task_rows(view) if task.calibration]
        if not rows:
            return None
        charts = {f"reliability-{k}": row for k, row in enumerate(_to_draw(view, rows))}
        figures = {
            name: plain_json(reliability_diagram(view, student, found)) for name, (student, _, found) in charts.items()
        }
        html = fill(
            "sections/calibration.html",
            view,
            section=self,
            rows=rows,
            charts=charts,
            coverages=list(dict.fromkeys(name for _, _, found in rows for name in found.accuracy_at)),
            change=change,
            sides=sides,
            coverage=lambda name: numbers.whole_percent(float(name)),
            notes=list(dict.fromkeys((task.task, note) for _, task in task_rows(view) for note in task.notes)),
        )
        return Fragment(html, figures)


def _to_draw(
    view: View, rows: list[tuple[StudentResult, TaskResult, Calibration]]
) -> list[tuple[StudentResult, TaskResult, Calibration]]:
    """Return what is drawn: the tasks of the student of the first screen, else of the first one that has any."""
    students = [view.headline.name] if view.headline else []
    students += [student.name for student, _, _ in rows]
    for name in students:
        mine = [row for row in rows if row[0].name == name]
        if mine:
            return mine[:_MOST_CHARTS]
    return []


def change(found: Beside | None) -> Shown:
    """Return the paired change of a loss; + means the student is better."""
    delta = found.delta if found else None
    return numbers.perhaps(delta, numbers.as_signed, (found.reason if found else None) or "not computed")


def sides(found: Beside | None) -> str:
    """Return teacher and student side by side."""
    if found is None:
        return numbers.DASH
    shown = [numbers.DASH if each is None else numbers.plain(each) for each in (found.teacher, found.student)]
    return " → ".join(shown)
