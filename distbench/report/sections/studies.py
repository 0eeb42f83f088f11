"""What a grid shows: data efficiency as a curve, method against size as a table."""

from __future__ import annotations

from dataclasses import dataclass, field

from distbench.report import numbers
from distbench.report.figures.frame import Drawn, plain_json
from distbench.report.figures.study import efficiency_lines
from distbench.report.numbers import Shown
from distbench.report.sections.section import Fragment, fill
from distbench.report.studies import (
    Line,
    Pivot,
    Quantity,
    axis_words,
    coordinate,
    curve_axis,
    lines,
    not_drawn,
    pivot,
    quantities,
    shown_studies,
)
from distbench.report.view import View
from distbench.report.words import humanise
from distbench.schema.result import Estimate
from distbench.schema.studies import Study, StudyEntry

_MOST_LINES, _MOST_TASKS = 6, 3
_NO_CONTROL = "no control was trained beside it"


@dataclass(frozen=True)
class Shape:
    """One study of the page: its words, its charts by id, and its tables."""

    study: Study
    varies: str
    number: int
    charts: dict[str, str] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    pivot: Pivot | None = None


class Studies:
    """Every study of the run."""

    title = "Studies"
    anchor = "studies"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where the suite has no grid."""
        figures: dict[str, Drawn] = {}
        shapes = []
        for number, study in enumerate(shown_studies(view), 1):
            charts, shape = _shape(view, study, number)
            figures |= charts
            shapes.append(shape)
        if not shapes:
            return None
        html = fill(
            "sections/studies.html",
            view,
            section=self,
            shapes=shapes,
            coordinate=coordinate,
            humanise=humanise,
            retained=lambda found: retained(view, found),
            gap=gap,
            score=score,
            tasks=lambda study: list(dict.fromkeys(task for entry in study.entries for task in entry.scores)),
        )
        return Fragment(html, figures)


def _shape(view: View, study: Study, number: int) -> tuple[dict[str, Drawn], Shape]:
    axis = curve_axis(study)
    words, table = axis_words(study), pivot(study)
    if axis is None:
        return {}, Shape(study, words, number, pivot=table)
    every = lines(study, axis)
    shown = every[:_MOST_LINES]
    notes = []
    if len(every) > len(shown):
        notes.append(f"{len(every) - len(shown)} more combinations are in the table only.")
    if without := not_drawn(study, axis):
        labels = [view.by_name[name].label if name in view.by_name else name for name in without]
        notes.append(f"Not on the axis, as it is not a number: {', '.join(labels)}.")
    drawn = {f"study-{number}-{place}": what for place, what in enumerate(quantities(study, _MOST_TASKS))}
    figures = {name: _chart(view, study, shown, what, humanise(axis.name)) for name, what in drawn.items()}
    charts = {name: what.title for name, what in drawn.items()}
    return figures, Shape(study, words, number, charts, shown, notes, table)


def _chart(view: View, study: Study, shown: list[Line], what: Quantity, title: str) -> Drawn:
    teacher = view.teachers.get(study.teacher)
    level = 1.0 if what.task is None else teacher.scores.get(what.task) if teacher else None
    threshold = view.threshold("retained") if what.share else None
    return plain_json(efficiency_lines(shown, what, title, teacher=level, threshold=threshold))


def retained(view: View, found: Estimate | None) -> Shown:
    """Return a retained share; it never rounds across the gate's threshold."""
    return numbers.perhaps(found, lambda each: numbers.as_percent(each, view.against("retained")), _NO_CONTROL)


def gap(entry: StudyEntry) -> Shown:
    """Return the gap that a student closes."""
    return numbers.perhaps(entry.gap_recovered, lambda each: numbers.as_percent(each, (0.0,)), _NO_CONTROL)


def score(found: Estimate | None) -> Shown:
    """Return a mean score."""
    return numbers.perhaps(found, lambda each: numbers.estimate(each, numbers.plain, ""), _NO_CONTROL)
