"""How much of a result is the luck of one training run?"""

from __future__ import annotations

from distbench.report import numbers, words
from distbench.report.figures.frame import plain_json
from distbench.report.figures.study import seed_rows
from distbench.report.numbers import Shown
from distbench.report.sections.section import Fragment, fill
from distbench.report.studies import seeded
from distbench.report.view import View
from distbench.schema.result import Estimate
from distbench.schema.studies import SeedSpread, SeedTask

_MOST_CHARTS = 6
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
        tasks = {task.task: task for spread in spreads for task in spread.every}
        charts = {f"seeds-{k}": task for k, task in enumerate(list(tasks.values())[:_MOST_CHARTS])}
        html = fill(
            "sections/seeds.html",
            view,
            section=self,
            students=students,
            charts=charts,
            retained=lambda found: numbers.perhaps(
                found, lambda each: numbers.as_percent(each, view.against("retained")), _NO_CONTROL
            ),
            undrawn=len(tasks) - len(charts),
            difference=difference,
            mean=mean,
            metric=metric,
            score=lambda value: numbers.optional(value, numbers.fine, "not compared in this run"),
            deviation=deviation,
        )
        figures = {
            name: plain_json(seed_rows(view, students, task.task, f"{metric(task)} on {task.task}"))
            for name, task in charts.items()
        }
        return Fragment(html, figures)


def metric(task: SeedTask) -> str:
    """Return the metric of a task in words."""
    return words.divergence_words(task.metric.split(",")[0])


def difference(task: SeedTask, found: Estimate | None) -> Shown:
    """Return distilled − control, + is better."""
    why = _NO_CONTROL if task.delta is None else "one number a training run: it speaks of further runs only"
    return numbers.perhaps(found, numbers.as_signed_fine, why)


def mean(found: Estimate | None) -> Shown:
    """Return a mean over training runs in the unit of its metric."""
    return numbers.perhaps(found, numbers.as_plain, _NO_CONTROL)


def deviation(spread: SeedSpread) -> Shown:
    """Return the standard deviation of the retained share between seeds, in percentage points."""
    return numbers.optional(
        spread.deviation, lambda value: f"{numbers.bare_percent(value)}{numbers.SPACE}points", "fewer than two runs"
    )
