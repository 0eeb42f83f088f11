"""An open page, and what it did: every message, every request."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
STARTED = "html.started"
# Charts are most of what a page costs: tests of tables and controls do without.
NO_CHARTS = "Object.defineProperty(window, 'Plotly', { get: () => undefined, set: () => {} })"
READY = "html.ready"  # the charts in sight are drawn, the first of them whole
DRAWN = "html.drawn, html.no-plotly"
WAIT = 60_000  # ms: a busy machine is no failure


def chromium() -> str | None:
    """Return the path of an installed Chromium."""
    return os.environ.get("DISTBENCH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Visit:
    """An open page and what it did."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.messages: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.messages.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("dialog", lambda dialog: (self.messages.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: self.requests.append(request.url))

    def until(self, expression: str) -> None:
        """Wait until an expression holds. The page's policy refuses what playwright polls with, so this asks itself."""
        end = time.monotonic() + WAIT / 1000
        while not self.page.evaluate(expression):
            assert time.monotonic() < end, expression
            self.page.wait_for_timeout(50)

    def quiet(self, *paths: Path) -> None:
        """Assert that nothing was said, and nothing loaded but these files."""
        assert self.messages == []
        loaded = [url.split("#")[0] for url in self.requests if not url.startswith(("blob:", "data:"))]
        assert loaded == [path.as_uri() for path in paths]
