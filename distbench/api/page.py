"""The report where Python runs: in a frame of a notebook, in a file, or as a table in a terminal."""

from __future__ import annotations

import os
import re
import sys
from dataclasses import dataclass, field
from html import escape
from importlib import import_module
from pathlib import Path

from distbench.report.visible import visible
from distbench.schema.result import Result
from distbench.store.files import write_text

# In a frame without an address of its own, links within the page would lead to the notebook's address.
_BASE = '<base href="about:srcdoc">'
# The page's own script runs, and nothing of it reaches the notebook: a frame without allow-same-origin has an origin
# of its own.
_SANDBOX = "allow-scripts allow-downloads allow-popups allow-modals"


@dataclass(frozen=True)
class Page:
    """The report as one HTML document. A notebook shows it in a frame of `height` pixels."""

    html: str = field(repr=False)
    title: str
    height: int

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the page and return where."""
        file = Path(path)
        write_text(file, self.html)
        return file

    @property
    def framed(self) -> str:
        """The page with the address that links within it need in a frame."""
        return re.sub(r"<head[^>]*>", lambda head: head[0] + _BASE, self.html, count=1)

    def _repr_html_(self) -> str:
        style = f"width:100%;height:{int(self.height)}px;border:1px solid #8888"
        return (
            f'<iframe title="{escape(visible(self.title))}" sandbox="{_SANDBOX}" loading="lazy" '
            f'style="{style}" srcdoc="{escape(self.framed)}"></iframe>'
        )


def page_of(result: Result, height: int) -> Page:
    """Return the report of a result."""
    from distbench.report.html import render

    return Page(render(result), f"distbench report: {result.suite}", height)


def show(result: Result, height: int) -> None:
    """Show the report in a notebook, else print the comparison."""
    if _in_notebook():
        import_module("IPython.display").display(page_of(result, height))
        return
    from rich.console import Console

    from distbench.report.text import terminal_table

    console = Console(highlight=False)
    for part in terminal_table(result):
        console.print(part)


def _in_notebook() -> bool:
    """Say whether a notebook runs this: an IPython shell whose front end shows HTML."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and type(shell).__name__ != "TerminalInteractiveShell"
