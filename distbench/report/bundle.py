"""The vendored plotly.js and the page's own style and script, ready for the page."""

from __future__ import annotations

import base64
import gzip
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, get_args

PlotlyJs = Literal["cartesian", "full", "directory", "cdn"]
"""Where the charts' library is: in the page (its cartesian part, or all of it), beside the page, or on a server."""

MODES: tuple[PlotlyJs, ...] = get_args(PlotlyJs)
ASSETS = files("distbench.report") / "assets"
NAME = "plotly-cartesian.min.js"
PACKAGE = "plotly.js-cartesian-dist-min"
CDN = "https://cdn.jsdelivr.net/npm"


@dataclass(frozen=True)
class Library:
    """How a page gets plotly.js: `packed` in the page itself, or a `source` that the browser loads.

    `allowed` is what the Content-Security-Policy must let run; `integrity` is checked by the browser before it runs.
    """

    allowed: str
    packed: str | None = None
    source: str | None = None
    integrity: str | None = None
    note: str = "One file; it loads nothing from the network."


def library(mode: PlotlyJs = "cartesian") -> Library:
    """Return plotly.js for a page of this mode."""
    if mode == "directory":
        note = f"Its charts need {NAME} in the same folder: keep the two files together. It loads nothing else."
        return Library("'self' file:", source=NAME, note=note)  # a page that is opened from a file has no 'self'
    if mode == "cdn":
        url = f"{CDN}/{PACKAGE}@{version()}/{NAME}"
        note = (
            f"Not one file: it loads the charts' library from {CDN.split('/')[2]}, which sees that it was opened. "
            "Without a network the tables remain."
        )
        return Library(url, source=url, integrity=_digest(plotly_js(), "sha384"), note=note)
    if mode == "full":
        return Library(csp_hash(full_plotly_js()), packed=packed(full_plotly_js()))
    return Library(csp_hash(plotly_js()), packed=_packed_plotly())


def csp_hash(text: str) -> str:
    """Return the source expression that lets a Content-Security-Policy accept exactly this text."""
    return f"'{_digest(text, 'sha256')}'"


def _digest(text: str, kind: str) -> str:
    return f"{kind}-" + base64.b64encode(hashlib.new(kind, text.encode()).digest()).decode()


@cache
def plotly_js() -> str:
    """Return the vendored cartesian bundle."""
    return (ASSETS / "plotly" / NAME).read_text("utf-8")


def full_plotly_js() -> str:
    """Return the whole library, as the installed plotly package has it."""
    from plotly.offline import get_plotlyjs

    found: str = get_plotlyjs()
    return found


def version() -> str:
    """Return the version of the vendored bundle, which its first comment names."""
    head = plotly_js()[:200]
    return head.split(" v", 1)[1].split("\n", 1)[0].strip()


def packed(text: str) -> str:
    """Return a text as base64 of gzip."""
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


@cache
def _packed_plotly() -> str:
    return packed(plotly_js())  # 0.66 MB in place of 1.50 MB


@cache
def style() -> str:
    """Return the style sheets of the page, in the order of their names."""
    return _joined("css")


@cache
def script() -> str:
    """Return the page's own script: one strict function scope around every file, in the order of their names."""
    return f'(()=>{{"use strict";\n{_joined("js")}\n}})();'


def _joined(kind: str) -> str:
    parts = sorted((ASSETS / kind).iterdir(), key=lambda part: part.name)
    return "\n".join(part.read_text("utf-8") for part in parts if part.name.endswith(kind))
