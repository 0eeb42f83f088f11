"""What a section is, and how it is written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from distbench.report import numbers, theme, words
from distbench.report.figures.frame import Drawn
from distbench.report.view import View
from distbench.report.visible import finalize, visible


@dataclass(frozen=True)
class Fragment:
    """A finished section: its HTML, the charts it holds by id, and data that the page's script needs."""

    html: Markup
    figures: dict[str, Drawn] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)


class Section(Protocol):
    """A part of the page. `title` is its word in the navigation, `anchor` its id."""

    title: str
    anchor: str

    def render(self, view: View) -> Fragment | None:
        """Return the section, or None where the result has nothing for it."""
        ...


@cache
def environment() -> Environment:
    """Return the templates: everything is escaped, and a misspelt name is an error."""
    env = Environment(
        loader=PackageLoader("distbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
    )
    env.filters.update(sentence=sentence, breakable=breakable)
    env.globals.update(numbers=numbers, theme=theme, words=words, verdicts=words.VERDICTS)
    return env


def sentence(text: str) -> str:
    """Return the text with a full stop, so that another sentence may follow."""
    return text if not text or text.endswith((".", "!", "?", "…")) else f"{text}."


def breakable(name: str) -> Markup:
    """Return an identifier that breaks across lines after its separators, and only there."""
    return Markup("<wbr>").join(re.split(r"(?<=[_/.:-])", visible(name)))


def fill(template: str, view: View, **values: Any) -> Markup:
    """Return a filled template."""
    text = environment().get_template(template).render(view=view, result=view.result, **values)
    return Markup(text)  # noqa: S704 - the template escaped everything it was given
