"""What every number means, in one line each."""

from __future__ import annotations

from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View


class Method:
    """The glossary."""

    title = "Method"
    anchor = "method"

    def render(self, view: View) -> Fragment | None:
        """Return the glossary, or None where there is no number to explain."""
        if not view.students:
            return None
        return Fragment(fill("sections/method.html", view, section=self))
