"""Task by task: one ruined task hides in a fine average."""

from __future__ import annotations

from distbench.report import numbers
from distbench.report.figures.frame import plain_json
from distbench.report.figures.heat import heat_map
from distbench.report.figures.multiples import MOST_PANELS, by_size, panel_figure, panels
from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View
from distbench.schema.result import StudentResult, TaskResult


class Tasks:
    """The heat map and the table task × student."""

    title = "Tasks"
    anchor = "tasks"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where no task was compared."""
        rows = task_rows(view)
        if not rows:
            return None
        floor = view.threshold("task_floor")
        centre = floor if floor is not None else (view.threshold("retained") or 0.95)
        drawn = heat_map(view, centre)
        every = panels(view)
        charts = {f"task-{k}": panel for k, panel in enumerate(every[:MOST_PANELS])}
        html = fill(
            "sections/tasks.html",
            view,
            section=self,
            rows=rows,
            centre=centre,
            is_floor=floor is not None,
            heat=drawn is not None,
            charts=charts,
            undrawn=len(every) - len(charts),
            by_size=by_size(view),
            raw=lambda task: numbers.as_percent(task.retained_raw),
            delta=lambda task: numbers.as_signed(task.delta),
            groups=[(each, name, group) for each in view.students for name, group in each.task_groups.items()],
            other=[row for row in rows if row[1].other_metrics],
        )
        figures = {} if drawn is None else {"heat": plain_json(drawn)}
        return Fragment(
            html, figures | {name: panel_figure(view, each, every, centre) for name, each in charts.items()}
        )


def task_rows(view: View) -> list[tuple[StudentResult, TaskResult]]:
    """Return every student on every task: task by task, students in the order of the page."""
    return [
        (student, task)
        for name in view.tasks
        for student in view.students
        for task in student.tasks
        if task.task == name
    ]
