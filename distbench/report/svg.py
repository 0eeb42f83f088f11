"""Small SVG by hand: elements with safe texts, and numbers that are no longer than they need to be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from distbench.report.theme import DARK, LIGHT
from distbench.report.visible import visible

Attributes = Mapping[str, str | float]
Scheme = Literal["auto", "light", "dark"]
"""auto: light, and dark where the reader's system asks for it."""

_ESCAPES = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", ord('"'): "&quot;"}
FONT = "system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif"


def escaped(text: str) -> str:
    """Return foreign text as XML 1.0: nothing acts as markup, and what XML forbids is spelled out."""
    return visible(text).translate(_ESCAPES)


def short(value: float) -> str:
    """Return a coordinate with at most two decimals (pixels; finer than any screen)."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")


def element(name: str, attributes: Attributes, *content: str) -> str:
    """Return an element. Attributes are escaped here; `content` must be safe already: elements, or `escaped` text."""
    given = "".join(
        f' {key}="{escaped(value) if isinstance(value, str) else short(value)}"' for key, value in attributes.items()
    )
    return f"<{name}{given}>{''.join(content)}</{name}>" if content else f"<{name}{given}/>"


def words(x: float, y: float, text: str, **more: str | float) -> str:
    """Return a text at a point; `anchor` start, middle or end, `kind` its class."""
    names = {"anchor": "text-anchor", "kind": "class"}
    return element("text", {"x": x, "y": y, **{names.get(key, key): each for key, each in more.items()}}, escaped(text))


def style(rules: Mapping[str, Mapping[str, str]], scheme: Scheme) -> str:
    """Return the style element. `rules`: selector → property → name of a colour of the theme, or a value as it is."""

    def sheet(colours: dict[str, str]) -> str:
        return "".join(
            f"{selector}{{{';'.join(f'{key}:{colours.get(value, value)}' for key, value in found.items())}}}"
            for selector, found in rules.items()
        )

    if scheme != "auto":
        return element("style", {}, sheet(DARK if scheme == "dark" else LIGHT))
    coloured = {
        selector: {key: value for key, value in found.items() if value in LIGHT} for selector, found in rules.items()
    }
    dark = "".join(
        f"{selector}{{{';'.join(f'{key}:{DARK[value]}' for key, value in found.items())}}}"
        for selector, found in coloured.items()
        if found
    )
    return element("style", {}, f"{sheet(LIGHT)}@media(prefers-color-scheme:dark){{{dark}}}")
