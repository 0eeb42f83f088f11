"""A study as the report shows it: the lines of its curve, and its students in rows and columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from distbench.report import numbers
from distbench.report.numbers import DASH
from distbench.report.view import View
from distbench.report.words import humanise
from distbench.schema.result import Estimate, StudentResult
from distbench.schema.studies import Study, StudyAxis, StudyEntry
from distbench.suite.grid_names import value_words

_FEWEST = 2  # students that make a study


@dataclass(frozen=True)
class Line:
    """Students that differ in the amount of data only, from little to much; `label` says what they share."""

    label: str
    points: list[tuple[float, StudyEntry]]


@dataclass(frozen=True)
class Pivot:
    """Two axes against each other; a cell is None where the grid has no such student."""

    row_name: str
    column_name: str
    columns: list[str]
    rows: list[tuple[str, list[StudyEntry | None]]]


@dataclass(frozen=True)
class Quantity:
    """What is drawn of the students of a study and of their controls."""

    title: str
    distilled: Callable[[StudyEntry], Estimate | None]
    control: Callable[[StudyEntry], Estimate | None]
    task: str | None = None

    @property
    def share(self) -> bool:
        """Whether it is a share of the teacher, and no score of a task."""
        return self.task is None


def shown_studies(view: View) -> list[Study]:
    """Return the studies that have something to compare."""
    return [study for study in view.result.studies if len(study.entries) >= _FEWEST]


def seeded(view: View) -> list[StudentResult]:
    """Return the students that were trained with several seeds."""
    return [student for student in view.candidates if student.seeds is not None]


def coordinate(at: Mapping[str, Any], axis: str) -> str:
    """Return a student's value on an axis in words; a dash where its method has no such option."""
    if axis not in at:
        return DASH
    value = at[axis]
    whole = isinstance(value, int) and not isinstance(value, bool)
    return numbers.count(value) if whole and value >= 10_000 else value_words(value)


def axis_words(study: Study) -> str:
    """Return what varies in a study: "labelled 27, 107, 538 × method soft-labels, hard-labels"."""
    return " × ".join(
        f"{humanise(axis.name)} {', '.join(coordinate({axis.name: value}, axis.name) for value in axis.values)}"
        for axis in study.axes
    )


def curve_axis(study: Study) -> StudyAxis | None:
    """Return the amount of data that the study varies, where it has two values of it at least."""
    amounts = [axis for axis in study.axes if axis.amount and len(_numbers(axis)) > 1]
    return amounts[0] if amounts else None


def lines(study: Study, axis: StudyAxis) -> list[Line]:
    """Return one line for every combination of the other axes; a student without a number is on none."""
    found: dict[str, list[tuple[float, StudyEntry]]] = {}
    for entry in study.entries:
        value = entry.at.get(axis.name)
        if value is not None:
            found.setdefault(_others(study, entry, [axis.name]), []).append((float(value), entry))
    return [Line(label, sorted(points, key=lambda point: point[0])) for label, points in found.items()]


def not_drawn(study: Study, axis: StudyAxis) -> list[str]:
    """Return the students whose amount is not a number: all of the data."""
    return [entry.student for entry in study.entries if entry.at.get(axis.name) is None]


def quantities(study: Study, most_tasks: int) -> list[Quantity]:
    """Return what there is to draw: the retained share, and the mean score of the first tasks."""
    found = [Quantity("retained", lambda entry: entry.retained, lambda entry: entry.control_retained)]
    tasks = list(dict.fromkeys(task for entry in study.entries for task in entry.scores))
    return [*found, *(_score(task) for task in tasks[:most_tasks])]


def _score(task: str) -> Quantity:
    return Quantity(
        f"score on {task}", lambda entry: entry.scores.get(task), lambda entry: entry.control_scores.get(task), task
    )


def pivot(study: Study) -> Pivot | None:
    """Return the table of the last varying axis against all others; None for a study of one axis."""
    axes = [axis for axis in study.axes if len(axis.values) > 1]
    if len(axes) < 2:
        return None
    across = axes[-1].name
    columns = _ordered(coordinate(entry.at, across) for entry in study.entries)
    rows = _ordered(_others(study, entry, [across]) for entry in study.entries)
    cells = {(_others(study, entry, [across]), coordinate(entry.at, across)): entry for entry in study.entries}
    return Pivot(
        row_name=", ".join(humanise(axis.name) for axis in axes[:-1]),
        column_name=humanise(across),
        columns=columns,
        rows=[(row, [cells.get((row, column)) for column in columns]) for row in rows],
    )


def study_rows(view: View, study: Study) -> tuple[list[str], list[list[str]]]:
    """Return a study as text: the headings, and a row a student."""
    axes = [axis.name for axis in study.axes]
    rows = [
        [
            *(coordinate(entry.at, axis) for axis in axes),
            numbers.count(entry.seeds),
            str(numbers.as_percent(entry.retained, view.against("retained")).brief),
            _text(entry.control_retained),
            _text(entry.gap_recovered, (0.0,)),
        ]
        for entry in study.entries
    ]
    return [*map(humanise, axes), "Training runs", "Retained", "Control retained", "Gap recovered"], rows


def _text(found: Estimate | None, against: Sequence[float] = ()) -> str:
    return DASH if found is None else str(numbers.as_percent(found, against).brief)


def _others(study: Study, entry: StudyEntry, without: Sequence[str]) -> str:
    """Return where a student stands on all axes that vary but some."""
    axes = [axis for axis in study.axes if axis.name not in without and len(axis.values) > 1]
    if len(axes) == 1:
        return coordinate(entry.at, axes[0].name)
    return ", ".join(f"{humanise(axis.name)} {coordinate(entry.at, axis.name)}" for axis in axes)


def _numbers(axis: StudyAxis) -> list[float]:
    return [float(value) for value in axis.values if value is not None]


def _ordered(items: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(items))
