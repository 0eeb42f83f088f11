"""The page: one file, no request, readable without JavaScript."""

from __future__ import annotations

from itertools import groupby

from markupsafe import Markup

from distbench.report import bundle, theme
from distbench.report.bundle import Library, PlotlyJs, library
from distbench.report.choices import Choice, choices
from distbench.report.findings import warnings
from distbench.report.sections import rendered, sections
from distbench.report.sections.section import Fragment, Section, fill
from distbench.report.view import View
from distbench.report.visible import json_block
from distbench.schema.result import Result

_LONGEST = 200  # characters of a label that are shown; the data block has all of it
_NOTHING = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"  # plotly.js adds an empty style element, then rules


def render(result: Result, plotlyjs: PlotlyJs = "cartesian") -> str:
    """Return the report as one HTML file, self-contained unless `plotlyjs` is "directory" or "cdn"."""
    view = View(with_short_labels(result))
    parts: list[tuple[Section, Fragment]] = []
    for section in sections():
        fragment = rendered(section, view)
        if fragment is not None:
            parts.append((section, fragment))
    figures = {name: drawn for _, part in parts for name, drawn in part.figures.items()}
    data = {key: value for _, part in parts for key, value in part.data.items()}
    narrowed = choices(view)
    charts = library(plotlyjs) if figures else None
    style = theme.css() + bundle.style()
    return str(
        fill(
            "page.html",
            view,
            version=result.distbench,
            parts=parts,
            warnings=warnings(view),
            choices=_by_group(narrowed),
            csp=policy(style, charts),
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(bundle.script()),  # noqa: S704 - our own file
            library=charts,
            samples=_packed(data.pop("samples", None)),
            data=json_block(
                {
                    "result": _without_samples(result),
                    "figures": figures,
                    "dark": theme.DARK_OF,
                    "choices": [choice.names for choice in narrowed],
                    **data,
                }
            ),
        )
    )


def with_short_labels(result: Result) -> Result:
    """Return the result as it is shown: a label stands dozens of times in a page, and may have 100 kB."""

    def short(label: str) -> str:
        return label if len(label) <= _LONGEST else label[: _LONGEST - 1] + "…"

    teachers = [each.model_copy(update={"label": short(each.label)}) for each in result.teachers]
    students = [each.model_copy(update={"label": short(each.label)}) for each in result.students]
    return result.model_copy(update={"teachers": teachers, "students": students})


def _by_group(narrowed: list[Choice]) -> list[tuple[str, list[tuple[int, Choice]]]]:
    return [(group, list(found)) for group, found in groupby(enumerate(narrowed), lambda each: each[1].group)]


def _packed(samples: object) -> str | None:
    """Return the samples as base64 of gzip, a third to a tenth of their size; None where there are none."""
    return None if samples is None else bundle.packed(json_block(samples))


def _without_samples(result: Result) -> dict[str, object]:
    """Return the result; its samples are in the page once, in the packed form of their own section."""
    students = {"__all__": {"disagreements"}}
    return result.model_dump(mode="python", exclude={"students": students})


def policy(style: str, charts: Library | None) -> str:
    """Return the Content-Security-Policy: nothing is loaded but what was asked for, and only these very texts run."""
    scripts = [bundle.csp_hash(bundle.script()), *([charts.allowed] if charts else [])]
    return (
        "default-src 'none'; "
        f"script-src {' '.join(scripts)}; "
        f"style-src {bundle.csp_hash(style)} {_NOTHING}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
