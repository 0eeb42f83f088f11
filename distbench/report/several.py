"""Pages about several runs that are no comparison themselves: a diff, a trend. One file, no request."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup
from pydantic import BaseModel

from distbench import __version__
from distbench.report import bundle, theme
from distbench.report.bundle import library
from distbench.report.html import policy
from distbench.report.sections.section import Fragment, environment
from distbench.report.visible import json_block
from distbench.schema.diff import Diff
from distbench.schema.trend import Trend


@dataclass(frozen=True)
class Part:
    """A finished section with its word in the navigation and its id."""

    title: str
    anchor: str
    fragment: Fragment


@dataclass(frozen=True)
class Head:
    """The head of a page: its title, and a line of facts under it."""

    title: str
    facts: str


def filled(template: str, **values: object) -> Markup:
    """Return a filled template that needs no view of one result."""
    text = environment().get_template(template).render(**values)
    return Markup(text)  # noqa: S704 - the template escaped everything it was given


def page(head: Head, parts: Sequence[Part], document: BaseModel) -> str:
    """Return the page; `document` is what its reader can download."""
    figures = {name: drawn for part in parts for name, drawn in part.fragment.figures.items()}
    charts = library() if figures else None
    style = theme.css() + bundle.style()
    data = {"result": document.model_dump(mode="python"), "figures": figures, "dark": theme.DARK_OF, "choices": []}
    return str(
        filled(
            "several.html",
            head=head,
            parts=parts,
            version=__version__,
            csp=policy(style, charts),
            style=Markup(style),  # noqa: S704 - our own file
            script=Markup(bundle.script()),  # noqa: S704 - our own file
            library=charts,
            data=json_block(data),
        )
    )


def trend_page(trend: Trend) -> str:
    """Return how students went from release to release as a page."""
    from distbench.report.sections.trend import trend_part

    first, last = trend.releases[0], trend.releases[-1]
    suites = " → ".join(dict.fromkeys((first.suite, last.suite)))
    head = Head(suites, f"{len(trend.releases)} releases, {first.label} to {last.label}")
    return page(head, trend_part(trend), trend)


def diff_page(diff: Diff) -> str:
    """Return what changed between two runs as a page."""
    from distbench.report.sections.changes import changes_part

    runs = f"A: {diff.a.run}, {diff.a.created_at or 'no date'} · B: {diff.b.run}, {diff.b.created_at or 'no date'}"
    return page(Head(f"{diff.a.suite} → {diff.b.suite}" if diff.a.suite != diff.b.suite else diff.b.suite, runs),
                changes_part(diff), diff)  # fmt: skip
