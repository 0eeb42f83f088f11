"""The samples on which only one of teacher and student is right."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from distbench.report import numbers
from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View
from distbench.schema.result import Disagreement, StudentResult

PER_STUDENT = 500
TEXT_LIMIT = 2000
BUDGET = 6_000_000  # characters of sample text: keeps the page under 10 MB
_FEWEST = 25


class Disagreements:
    """A table that is searched, filtered, paged and downloaded; at most 50 rows are in the page at a time."""

    title = "Disagreements"
    anchor = "disagreements"

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where teacher and students never disagree (or nobody looked)."""
        students = [student for student in view.students if student.disagreements]
        if not students:
            return None
        cap, samples = _packed(view, students)
        left_out = [
            f"{student.label}: {numbers.count(shown)} of {numbers.count(total)}"
            for student in students
            if (shown := min(cap, len(student.disagreements))) < (total := max(student.disagreements_total, shown))
        ]
        html = fill(
            "sections/disagreements.html",
            view,
            section=self,
            total=len(samples["rows"]),
            left_out=left_out,
            text_limit=numbers.count(TEXT_LIMIT),
        )
        return Fragment(html, data={"samples": samples})


def _packed(view: View, students: list[StudentResult]) -> tuple[int, dict[str, Any]]:
    """Return the most rows per student that fit the budget, and the samples."""
    cap = PER_STUDENT
    while True:
        texts: dict[str, int] = {}
        rows = [
            _row(index, sample, texts)
            for index, student in enumerate(students)
            for sample in student.disagreements[:cap]
        ]
        if cap <= _FEWEST or sum(map(len, texts)) <= BUDGET:
            break
        cap = max(_FEWEST, cap // 2)
    return cap, {
        "students": [student.label for student in students],
        "names": [student.name for student in students],
        "texts": list(texts),
        "rows": rows,
    }


def _row(student: int, sample: Disagreement, texts: dict[str, int]) -> list[int | str]:
    """Return one sample: many students share its prompt, so that every text is stored once and named by number."""
    number: Callable[[str], int] = lambda text: texts.setdefault(text[:TEXT_LIMIT], len(texts))  # noqa: E731
    fields = (sample.task, sample.sample_id, sample.prompt, sample.label, sample.teacher, sample.student)
    groups = [f"{dimension}: {group}" for dimension, group in sample.groups.items()]
    return [student, sample.kind, *(number(text) for text in (*fields, *groups))]
