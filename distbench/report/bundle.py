"""The vendored plotly.js, packed for the page."""

from __future__ import annotations

import base64
import gzip
import hashlib
from functools import cache
from importlib.resources import files

ASSETS = files("distbench.report") / "assets"
NAME = "plotly-cartesian.min.js"


def csp_hash(text: str) -> str:
    """Return the source expression that lets a Content-Security-Policy accept exactly this text."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@cache
def plotly_js() -> str:
    """Return the bundle."""
    return (ASSETS / "plotly" / NAME).read_text("utf-8")


@cache
def packed() -> str:
    """Return the bundle as base64 of gzip: 0.66 MB in place of 1.50 MB."""
    return base64.b64encode(gzip.compress(plotly_js().encode(), 9, mtime=0)).decode()


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
