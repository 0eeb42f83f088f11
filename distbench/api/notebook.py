"""What a notebook shows of a run: the verdict, the students, the key chart. No script runs, nothing is fetched."""

from __future__ import annotations

import base64
from functools import cache
from importlib.util import find_spec

from jinja2 import Environment, PackageLoader, StrictUndefined

from distbench.report import theme, words
from distbench.report.findings import warnings
from distbench.report.text import student_cells, student_name
from distbench.report.view import View
from distbench.report.visible import finalize
from distbench.schema.result import Result

MOST_STUDENTS = 30  # rows of a table that stands between two cells of a notebook
_MOST_WARNINGS = 5


def summary(result: Result) -> str:
    """Return the summary of a result as HTML that needs no script."""
    view = View(result)
    rows = [
        (student, student_name(student).strip(), student_cells(view, student))
        for student in view.students[:MOST_STUDENTS]
    ]
    shown = {heading for _, _, cells in rows for heading, cell in cells.items() if not cell.missing}
    said = warnings(view)
    return str(
        _environment()
        .get_template("summary.html")
        .render(
            view=view,
            result=result,
            rows=rows,
            headings=[heading for heading in (rows[0][2] if rows else {}) if heading in shown],
            left_out=len(view.students) - len(rows),
            warnings=said[:_MOST_WARNINGS],
            more_warnings=len(said) - _MOST_WARNINGS,
            chart=_chart(result),
            verdicts=words.VERDICTS,
            colours=theme.LIGHT,
        )
    )


def _chart(result: Result) -> str | None:
    """Return the key chart as the address of an image: in one, nothing of its text can act."""
    if find_spec("distbench.exports.svg") is None or not any(each.points for each in result.trade_offs):
        return None
    from distbench.exports.svg import key_chart

    return "data:image/svg+xml;base64," + base64.b64encode(
        key_chart(result, "light").encode("utf-8", "replace")
    ).decode("ascii")


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("distbench.api"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )
