"""Who pays for the compression? Retention by subgroup."""

from __future__ import annotations

from distbench.report import numbers
from distbench.report.figures.frame import plain_json
from distbench.report.figures.lines import group_rows
from distbench.report.numbers import Shown
from distbench.report.sections.section import Fragment, fill
from distbench.report.sections.tasks import task_rows
from distbench.report.view import View
from distbench.schema.result import GroupDimension, GroupResult

_MOST_CHARTS, _MOST_GROUPS = 4, 24


class Groups:
    """The worst group and the growth of the gap, then every group."""

    title = "Groups"
    anchor = "groups"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where no sample belongs to a group."""
        rows = [(student, task, found) for student, task in task_rows(view) for found in task.groups]
        if not rows:
            return None
        keys = list(dict.fromkeys((task.task, found.dimension) for _, task, found in rows if found.groups))
        planes = {
            key: [(student, found) for student, task, found in rows if (task.task, found.dimension) == key]
            for key in keys
        }
        small = [key for key in keys if max(len(found.groups) for _, found in planes[key]) <= _MOST_GROUPS]
        charts = {f"groups-{k}": key for k, key in enumerate(small[:_MOST_CHARTS])}
        figures = {name: plain_json(group_rows(view, planes[key])) for name, key in charts.items()}
        html = fill(
            "sections/groups.html",
            view,
            section=self,
            rows=rows,
            charts=charts,
            kept=kept,
            worst=worst,
            growth=growth,
            fails_at=f"{rows[0][2].floor:.10g}",
        )
        return Fragment(html, figures)


def kept(dimension: GroupDimension, group: GroupResult) -> Shown:
    """Return what a group keeps."""
    return numbers.as_percent(group.retained, (dimension.floor,))


def worst(dimension: GroupDimension) -> Shown:
    """Return what the worst group keeps, or why there is none."""
    found = dimension.worst_group_retained
    return numbers.perhaps(found, lambda each: numbers.as_percent(each, (dimension.floor,)), dimension.reason or "")


def growth(dimension: GroupDimension) -> Shown:
    """Return by how much the gap between groups grew, in the unit of the scores."""
    why = dimension.reason or "it needs two judged groups"
    return numbers.optional(dimension.gap_growth, lambda value: numbers.signed(value, (0.0,)), why)
