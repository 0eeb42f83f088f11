"""The page: one file, no request, readable without JavaScript."""

from __future__ import annotations

from markupsafe import Markup

from distbench.report import bundle, theme
from distbench.report.findings import warnings
from distbench.report.sections import SECTIONS
from distbench.report.sections.section import Fragment, Section, fill
from distbench.report.view import View
from distbench.report.visible import json_block
from distbench.schema.result import Result

_NOTHING = "'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='"  # plotly.js adds an empty style element, then rules


def render(result: Result) -> str:
    """Return the report as one self-contained HTML file."""
    view = View(result)
    parts: list[tuple[Section, Fragment]] = []
    for section in SECTIONS:
        fragment = section.render(view)
        if fragment is not None:
            parts.append((section, fragment))
    figures = {name: drawn for _, part in parts for name, drawn in part.figures.items()}
    data = {key: value for _, part in parts for key, value in part.data.items()}
    style = theme.css() + bundle.style()
    return str(
        fill(
            "page.html",
            view,
            parts=parts,
            warnings=warnings(view),
            csp=_policy(style, charts=bool(figures)),
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(bundle.script()),  # noqa: S704 - our own file
            packed=bundle.packed() if figures else None,
            data=json_block(
                {
                    "result": _without_samples(result),
                    "figures": figures,
                    "dark": theme.DARK_OF,
                    **data,
                }
            ),
        )
    )


def _without_samples(result: Result) -> dict[str, object]:
    """Return the result; its samples are in the page once, in the packed form of their own section."""
    students = {"__all__": {"disagreements"}}
    return result.model_dump(mode="python", exclude={"students": students})


def _policy(style: str, *, charts: bool) -> str:
    """Return the Content-Security-Policy: nothing is loaded, and only these very texts run."""
    scripts = [bundle.csp_hash(bundle.script()), *([bundle.csp_hash(bundle.plotly_js())] if charts else [])]
    return (
        "default-src 'none'; "
        f"script-src {' '.join(scripts)}; "
        f"style-src {bundle.csp_hash(style)} {_NOTHING}; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
