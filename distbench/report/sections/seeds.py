"""How much of a result is the luck of one training run?"""

from __future__ import annotations

from distbench.report import numbers
from distbench.report.figures.frame import plain_json
from distbench.report.figures.study import seed_rows
from distbench.report.numbers import Shown
from distbench.report.sections.section import Fragment, fill
from distbench.report.studies import seeded
from distbench.report.view import View
from distbench.schema.result import Estimate
from distbench.schema.studies import SeedSpread

_MOST_CHARTS = 3
_NO_CONTROL = "no control was trained beside it"


class Seeds:
    """Every training run of the students that have several."""

    title = "Seeds"
    anchor = "seeds"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where no student was trained with several seeds."""
        students = seeded(view)
        if not students:
            return None
        spreads = [student.seeds for student in students if student.seeds]
        tasks = list(dict.fromkeys(task.task for spread in spreads for task in spread.tasks))
        charts = {f"seeds-{k}": task for k, task in enumerate(tasks[:_MOST_CHARTS])}
        html = fill(
            "sections/seeds.html",
            view,
            section=self,
            students=students,
            charts=charts,
            retained=lambda found: numbers.perhaps(
                found, lambda each: numbers.as_percent(each, view.against("retained")), _NO_CONTROL
            ),
            difference=difference,
            score=lambda value: numbers.optional(value, numbers.plain, "not compared in this run"),
            deviation=deviation,
        )
        return Fragment(html, {name: plain_json(seed_rows(view, students, task)) for name, task in charts.items()})


def difference(found: Estimate | None) -> Shown:
    """Return distilled − control."""
    return numbers.perhaps(found, numbers.as_signed, _NO_CONTROL)


def deviation(spread: SeedSpread) -> Shown:
    """Return the standard deviation of the retained share between seeds, in percentage points."""
    return numbers.optional(
        spread.deviation, lambda value: f"{numbers.bare_percent(value)}{numbers.SPACE}points", "fewer than two runs"
    )
