"""What a careful reader should know before trusting the numbers."""

from __future__ import annotations

from distbench.report.findings import warnings
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
