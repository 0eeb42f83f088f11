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

    @classmethod
    def of(cls, label: str, shown: Shown, about: str, detail: str) -> Tile:
        """Return a tile; where the number is missing, the reason takes the place of the detail."""
        why = shown.text.removeprefix(f"{numbers.DASH} ") if shown.text != numbers.DASH else shown.title
        return cls(label, shown, f"{about}: {why}." if shown.missing else f"{about}{detail}.")


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
    needs = f". The gate asks for {numbers.whole_percent(gate)} or more" if gate is not None else ""
    items = f", {numbers.items(retained.n)} test items" if retained.n else ""
    tiles = [
        Tile.of(
            "Quality kept (retained)",
            view.retained(student),
            "of the teacher's skill above guessing",
            f"{items}{needs}",
        )
    ]
    worst = view.worst(student)
    if worst:
        tiles.append(
            Tile.of("Worst task", view.task_retained(worst), worst.task, f", {numbers.items(worst.n)} test items")
        )
    return tiles


def buys(view: View, student: StudentResult) -> list[Tile]:
    """Return what a student saves: disk, time and memory."""
    teacher = view.teacher_of(student)
    sizes = (teacher.footprint.bytes_on_disk if teacher else None, student.footprint.bytes_on_disk)
    from_to = " → ".join(numbers.DASH if each is None else numbers.size(each) for each in sizes)
    tiles = [Tile.of("Smaller", view.compression(student), "on disk", f": {from_to}")]
    for meter, label in (("latency", "Faster"), ("memory", "Less memory")):
        key = view.headline_measure(meter)
        found = view.measurement(student, key)
        if key is None or found is None:
            continue
        medians = " → ".join(
            numbers.DASH if value is None else numbers.quantity(value, found.unit)
            for value in (found.teacher, found.student)
        )
        tiles.append(
            Tile.of(
                label,
                view.measured_ratio(found),
                key.title,
                f": {medians} (median), {numbers.items(found.n)}",
            )
        )
    return tiles
