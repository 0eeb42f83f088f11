"""Where the numbers come from: models, machine, packages, settings, and the work that was done."""

from __future__ import annotations

import json
from typing import Any

from distbench.report.sections.section import Fragment, fill
from distbench.report.view import View

_OPEN_CELLS = 12


class Provenance:
    """Everything needed to doubt, or to repeat, the comparison."""

    title = "Provenance"
    anchor = "provenance"

    def render(self, view: View) -> Fragment | None:
        """Return the section; a run always has a name, a date and a version."""
        result = view.result
        html = fill(
            "sections/provenance.html",
            view,
            section=self,
            settings=[(key, _plain(value)) for key, value in result.settings.items()],
            thresholds=[(rule, limit) for rule, limit in result.thresholds.items() if limit is not None],
            cells_open=len(result.cells) <= _OPEN_CELLS,
        )
        return Fragment(html)


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
