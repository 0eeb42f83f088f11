"""The first screen: is it good enough, and what does it buy?"""

from __future__ import annotations

from dataclasses import dataclass

from distbench.report import numbers
from distbench.report.numbers import Shown
from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View
from distbench.schema.result import StudentResult


@dataclass(frozen=True)
class Tile:
    """One headline number: what it is, the number, and what it means in a few words."""

    label: str
    shown: Shown
    detail: str


class VerdictBand:
    """The verdict, the sentence that explains it, and the headline numbers."""

    title = "Verdict"
    anchor = "verdict"

    def render(self, view: View) -> Fragment | None:
        """Return the band; it is never left out."""
        headline = view.headline
        return Fragment(
            fill(
                "sections/verdict.html",
                view,
                section=self,
                student=headline,
                teacher=view.teacher_of(headline) if headline else None,
                keeps=keeps(view, headline) if headline else [],
                buys=buys(view, headline) if headline else [],
            )
        )


def keeps(view: View, student: StudentResult) -> list[Tile]:
    """Return what a student keeps: the retained share, and the task on which it keeps least."""
    retained = student.suite.retained
    gate = view.threshold("retained")
    needs = f" The gate asks for {numbers.whole_percent(gate)} or more." if gate is not None else ""
    items = f"n = {numbers.count(retained.n)} test items. " if retained.n else ""
    tiles = [
        Tile(
            "Quality kept",
            view.retained(student),
            f"of the teacher's skill above guessing. {items}{needs}".replace("  ", " "),
        )
    ]
    worst = view.worst(student)
    if worst:
        tiles.append(
            Tile("Worst task", view.task_retained(worst), f"{worst.task}, n = {numbers.count(worst.n)} test items.")
        )
    return tiles


def buys(view: View, student: StudentResult) -> list[Tile]:
    """Return what a student saves: disk, time and memory."""
    teacher = view.teacher_of(student)
    sizes = (teacher.footprint.bytes_on_disk if teacher else None, student.footprint.bytes_on_disk)
    from_to = " → ".join(numbers.DASH if each is None else numbers.size(each) for each in sizes)
    tiles = [Tile("Smaller", view.compression(student), f"on disk: {from_to}.")]
    for meter, label in (("latency", "Faster"), ("memory", "Less memory")):
        key = view.headline_measure(meter)
        found = view.measurement(student, key)
        if key is None or found is None:
            continue
        medians = " → ".join(
            numbers.DASH if value is None else numbers.quantity(value, found.unit)
            for value in (found.teacher, found.student)
        )
        detail = key.title if found.status == "not_measurable" else f"{key.title}: {medians} (median), n = {found.n}"
        estimated = ", estimated" if found.status == "estimated" else ""
        tiles.append(Tile(label, view.measured_ratio(found), f"{detail}{estimated}."))
    return tiles
