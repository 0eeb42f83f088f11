"""What a careful reader should know before trusting the numbers."""

from __future__ import annotations

from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View


class Warnings:
    """Every warning of the run, its students and its teachers."""

    title = "Warnings"
    anchor = "warnings"

    def render(self, view: View) -> Fragment | None:
        """Return the warnings, or None where there are none."""
        found = warnings(view)
        return Fragment(fill("sections/warnings.html", view, section=self, found=found)) if found else None


def warnings(view: View) -> list[tuple[str, str]]:
    """Return (about whom, what) for each warning; failed cells are warnings too."""
    result = view.result
    found = [("", text) for text in result.warnings]
    found += [(student.label, text) for student in view.students for text in student.warnings]
    found += [(cell.title, f"failed: {cell.error or 'no reason given'}") for cell in result.cells if cell.status == "failed"]
    found += [(cell.title, "is missing: its numbers are not in this report") for cell in result.cells if cell.status == "missing"]
    return found
